"""Reversible hiding in the JPEG stream (papers/000): profiles `exact` and `paper`."""
