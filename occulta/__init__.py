"""Occulta: protect private data and sensitive imagery in JPEG streams."""
