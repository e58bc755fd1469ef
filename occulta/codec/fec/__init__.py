"""Forward error correction: the turbo code of the robust scheme, with soft-decision decoders."""
