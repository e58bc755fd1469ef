"""A Debian base image for ARM64: docker's registry where it answers, else debootstrap, emulated."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from deploy.arm64.engine import BASE, PLATFORM, REGISTRY_BASE, Engine
from deploy.arm64.log import Log
from deploy.arm64.machine import KEYRING, Unable

SUITE = "bookworm"
SOURCES = """\
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""
"""What is installed later comes with its security updates."""
LEFT_OUT = ("var/cache/*", "var/lib/apt/lists/*", "var/log/*", "usr/share/doc/*", "usr/share/man/*",
            "usr/share/locale/*", "usr/share/info/*", "etc/hostname", "etc/resolv.conf")
"""What does not go into the image; the last two are the building machine's own."""
PULL_LIMIT = 60.0
"""Seconds for a registry to hand its base over."""
_NO_MIRROR = ("E: Failed getting release file", "E: Couldn't download packages")


def exists(log: Log, engine: Engine) -> bool:
    """Whether the base image is there already."""
    return log.status([engine.tool, "image", "inspect", "--format", "{{.Id}}", BASE]) == 0


def make(log: Log, engine: Engine) -> str:
    """Make the base image anew, and say from what; raises Failed and Unable."""
    if engine.has_registry and _pull(log, engine):
        return f"from {REGISTRY_BASE}"
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or not KEYRING.exists():
        raise Unable("without a registry it takes root, debootstrap and debian-archive-keyring")
    _bootstrap(log, engine)
    return "made by debootstrap"


def _pull(log: Log, engine: Engine) -> bool:
    words = [engine.tool, "pull", "--quiet", "--platform", PLATFORM, REGISTRY_BASE]
    if log.status(words, within=PULL_LIMIT):
        return False
    log.must([engine.tool, "tag", REGISTRY_BASE, BASE])
    return True


def _bootstrap(log: Log, engine: Engine) -> None:
    with tempfile.TemporaryDirectory(prefix="occulta-base-") as name:
        root, archive = Path(name, "root"), Path(name, "base.tar")
        # ca-certificates for pip in the build: it cannot be installed there, where the host's
        # certificates are mounted read-only.
        first = log.status([
            "debootstrap", "--arch=arm64", "--foreign", "--variant=minbase",
            "--include=ca-certificates", "--force-check-gpg", f"--keyring={KEYRING}", SUITE,
            str(root),
        ])
        if first and any(words in log.text() for words in _NO_MIRROR):
            raise Unable(f"no package mirror answers: see {log.file}")
        log.require("debootstrap", first)
        log.must(["chroot", str(root), "/debootstrap/debootstrap", "--second-stage"])
        Path(root, "etc/apt/sources.list").write_text(SOURCES, "ascii")
        without = [f"--exclude=./{pattern}" for pattern in LEFT_OUT]
        log.must(["tar", "-C", str(root), *without, "-cf", str(archive), "."])
        _commit(log, engine, archive)


def _commit(log: Log, engine: Engine, archive: Path) -> None:
    """Make the image of the archive; raises Failed."""
    if engine.has_registry:
        log.must([engine.tool, "import", "--platform", PLATFORM, "--change", 'CMD ["/bin/sh"]',
                  str(archive), BASE])
        return
    container = log.output(["buildah", "from", "--arch", "arm64", "--pull-never", "scratch"])
    try:
        log.must(["buildah", "add", "--quiet", container, str(archive), "/"])
        log.must(["buildah", "config", "--os", "linux", "--arch", "arm64", "--variant", "v8",
                  "--cmd", "/bin/sh", container])
        log.must(["buildah", "commit", "--quiet", container, BASE])
    finally:
        log.tidy(["buildah", "rm", container])
