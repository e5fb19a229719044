"""iPin Proxy: every AI provider behind one OpenAI-compatible API, on the standard library alone."""

__version__ = "0.1.0"
