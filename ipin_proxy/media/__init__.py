"""Bytes people send us: what they are, read from what they hold and not from what they are called."""
