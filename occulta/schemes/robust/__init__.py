"""Robust hiding (papers/002): a short message that survives recompression, filters and noise."""
