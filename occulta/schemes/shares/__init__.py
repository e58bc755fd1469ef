"""Verifiable shares of a frame (papers/003, docs/shares.md): profiles `jpeg` and `paper`."""
