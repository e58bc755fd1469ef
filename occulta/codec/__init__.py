"""Building blocks: the JPEG entropy codec, cryptography, compiled kernels."""
