# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# mypy: ignore-errors
"""CRC-32C (Castagnoli), the checksum that zlib lacks; run as it is or compiled by Cython."""

from __future__ import annotations

import cython


@cython.ccall
def crc32c(data: cython.const[cython.uchar][::1], tables: cython.const[cython.uint][::1],
           crc: cython.ulonglong) -> cython.ulonglong:
    """Continue a CRC-32C over `data`. `tables` are those of `crc_tables`, eight of 256 words.

    Compiled eight octets are taken at a time, one table each; plainly one, by the first table.
    """
    c: cython.uint = cython.cast(cython.uint, crc ^ 0xFFFFFFFF)
    i: cython.Py_ssize_t = 0
    n: cython.Py_ssize_t = len(data)
    if cython.compiled:
        while i + 8 <= n:
            c ^= (data[i] | (cython.cast(cython.uint, data[i + 1]) << 8)
                  | (cython.cast(cython.uint, data[i + 2]) << 16)
                  | (cython.cast(cython.uint, data[i + 3]) << 24))
            c = (tables[1792 + (c & 255)] ^ tables[1536 + ((c >> 8) & 255)]
                 ^ tables[1280 + ((c >> 16) & 255)] ^ tables[1024 + (c >> 24)]
                 ^ tables[768 + data[i + 4]] ^ tables[512 + data[i + 5]]
                 ^ tables[256 + data[i + 6]] ^ tables[data[i + 7]])
            i += 8
        while i < n:
            c = tables[(c ^ data[i]) & 255] ^ (c >> 8)
            i += 1
    else:
        for b in data:
            c = tables[(c ^ b) & 255] ^ (c >> 8)
    return c ^ 0xFFFFFFFF
