"""Occulta: protect private data and sensitive imagery in JPEG streams."""

__version__ = "0.1.0"
