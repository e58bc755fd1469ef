"""File names that a peer chooses."""

from __future__ import annotations

MAX_NAME = 255
"""Octets of a name as a whole: an LV parameter holds no more."""


def is_safe_name(name: str) -> bool:
    """True for a relative path that stays below the folder it is put into.

    Refuses absolute paths, empty parts, `.` and `..`, backslashes, colons (drives, streams),
    control characters, and names longer than an LV parameter.
    """
    if not name or len(name.encode()) > MAX_NAME:
        return False
    if any(ord(letter) < 32 or letter in "\\:\x7f" for letter in name):
        return False
    return all(part not in ("", ".", "..") for part in name.split("/"))
