"""Attacks on pictures, and how the robust scheme stands them."""
