"""Handlers: one thin file per family of endpoints, each handler a function of the app and the visit."""
