"""Streaming JPEG entropy codec (ITU-T T.81): headers, Huffman tables, scans, bit exact."""
