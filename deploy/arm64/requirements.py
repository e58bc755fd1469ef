"""Prints the pinned requirements of one or more groups: `requirements.py flight|build|test ...`.

Reads pyproject.toml beside it or two folders above. Standard library only: it runs in the image.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

TEST = ("execnet", "hypothesis", "iniconfig", "numpy", "packaging", "pillow", "pluggy", "Pygments",
        "pytest", "pytest-xdist", "sortedcontainers")
"""What the tests need that run in the image, with what these bring in."""


def pins(project: dict[str, Any], group: str) -> list[str]:
    """The pinned requirements of a group; raises KeyError for one that is not there."""
    if group == "flight":
        return list(project["project"]["dependencies"])
    if group == "build":
        return list(project["build-system"]["requires"])
    if group != "test":
        raise KeyError(group)
    extras = project["project"]["optional-dependencies"].values()
    found = {re.split("[=<>]", pin)[0]: pin for extra in extras for pin in extra}
    return [found[name] for name in TEST]


def main(groups: list[str]) -> int:
    """Print them, one a line."""
    here = Path(__file__).resolve().parent
    beside = here / "pyproject.toml"
    file = beside if beside.exists() else here.parents[1] / "pyproject.toml"
    project = tomllib.loads(file.read_text("utf-8"))
    for pin in dict.fromkeys(pin for group in groups for pin in pins(project, group)):
        print(pin)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
