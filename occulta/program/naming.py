"""Ids of frames and items that are made of the names of files."""

from __future__ import annotations

import re

_NAME = 40
_DIGEST = 16


def id_of_file(name: str, digest: str) -> str:
    """The name as far as a message can say it (`occulta.link.messages.Name`), and 16 of a digest.

    `digest` is in hexadecimal digits.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:_NAME] or "_"
    return f"{safe}-{digest[:_DIGEST]}"
