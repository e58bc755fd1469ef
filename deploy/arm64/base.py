"""A Debian base image for ARM64 without any registry: debootstrap, its second stage emulated."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deploy.arm64.engine import BASE
from deploy.arm64.log import Log

SUITE = "bookworm"
LEFT_OUT = ("var/cache", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man",
            "usr/share/locale", "usr/share/info")
"""Folders whose contents do not go into the image."""


def exists(log: Log) -> bool:
    """Whether the base image is there already."""
    return log.status(["buildah", "inspect", "--type", "image", BASE]) == 0


def make(log: Log) -> None:
    """Make the base image; raises Failed."""
    with tempfile.TemporaryDirectory(prefix="occulta-base-") as name:
        root, archive = Path(name, "root"), Path(name, "base.tar")
        log.must(["debootstrap", "--arch=arm64", "--foreign", "--variant=minbase",
                  "--include=ca-certificates", SUITE, str(root)])
        log.must(["chroot", str(root), "/debootstrap/debootstrap", "--second-stage"])
        without = [f"--exclude=./{folder}/*" for folder in LEFT_OUT]
        log.must(["tar", "-C", str(root), *without, "-cf", str(archive), "."])
        _commit(log, archive)


def _commit(log: Log, archive: Path) -> None:
    container = log.output(["buildah", "from", "--arch", "arm64", "--pull-never", "scratch"])
    try:
        log.must(["buildah", "add", "--quiet", container, str(archive), "/"])
        log.must(["buildah", "config", "--os", "linux", "--arch", "arm64", "--variant", "v8",
                  "--cmd", "/bin/sh", container])
        log.must(["buildah", "commit", "--quiet", container, BASE])
    finally:
        log.status(["buildah", "rm", container])
