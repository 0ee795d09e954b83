"""The API room: a small read-only Litestar app over the current publication."""

__version__ = "0.1.0"
