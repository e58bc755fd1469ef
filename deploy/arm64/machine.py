"""Whether this machine can build and run ARM64 images, and what makes it able to."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.arm64.engine import DOCKER, Engine, podman
from deploy.arm64.log import Failed, Log

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Whoever signs Debian's archive."""
BINFMT = Path("/proc/sys/fs/binfmt_misc")
_FORMAT = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
_EMULATOR = "qemu-user-static"
_TOOLS = {
    "debootstrap": "debootstrap", "gpgv": "gpgv", "buildah": "buildah", "podman": "podman",
    "conmon": "conmon", "runc": "runc",
}
"""Commands, and Debian's packages of them."""
_HEADER = bytes.fromhex("7f454c46020101000000000000000000" "0200b700")
"""How a program for ARM64 begins (elf(5)): little-endian, ET_EXEC, EM_AARCH64."""
_UPDATE_LIMIT = 120.0
_INSTALL_LIMIT = 400.0


class Unable(Exception):
    """This machine cannot; the reason in a line."""


def is_native() -> bool:
    """Whether ARM64 needs no emulation here."""
    return platform.machine() in ("aarch64", "arm64")


def engine() -> Engine:
    """The engine to use; raises Unable."""
    if platform.system() != "Linux":
        raise Unable("containers are run on Linux alone")
    if docker_works():
        if not (is_native() or is_registered()):
            raise Unable("docker is here, but no emulator with flag F: apt install " + _EMULATOR)
        return DOCKER
    if os.geteuid() != 0:
        raise Unable("without docker, buildah and podman are used, and need root")
    absent = list(missing())
    if absent:
        raise Unable(f"not installed: {' '.join(absent)} (python3 dev.py arm64 tools)")
    if not (is_native() or is_registered()):
        raise Unable("the emulator is not registered (python3 dev.py arm64 tools)")
    return podman()


def docker_works() -> bool:
    """Whether a docker engine answers, and can build for other platforms."""
    if shutil.which("docker") is None:
        return False
    with Log(Path(os.devnull), limit=30.0) as log:
        try:
            return not any(log.status(["docker", *words]) for words in (["info"],
                                                                        ["buildx", "version"]))
        except Failed:
            return False


def missing() -> Iterator[str]:
    """Debian's packages that podman's way needs and that are not here."""
    for command, package in _TOOLS.items():
        if shutil.which(command) is None:
            yield package
    if not KEYRING.exists():
        yield "debian-archive-keyring"
    if not is_native() and shutil.which("qemu-aarch64-static") is None:
        yield _EMULATOR


def is_registered(folder: Path = BINFMT) -> bool:
    """Whether the kernel hands ARM64 programs to an emulator that containers can use too.

    That is flag F: the emulator was opened when it was registered, so none is needed inside.
    """
    try:
        if (folder / "status").read_text("ascii").strip() != "enabled":
            return False
        names = set(os.listdir(folder)) - {"register", "status"}
        return any(_takes_arm64((folder / name).read_text("ascii")) for name in names)
    except OSError:
        return False


def _takes_arm64(entry: str) -> bool:
    """By the kernel's own comparison (Documentation/admin-guide/binfmt-misc.rst)."""
    said = {word: value for word, _, value in (line.partition(" ") for line in entry.splitlines())}
    if "enabled" not in said or "F" not in said.get("flags:", "") or "magic" not in said:
        return False
    magic, at = bytes.fromhex(said["magic"]), int(said.get("offset", "0"))
    mask = bytes.fromhex(said.get("mask", "ff" * len(magic)))
    begins = _HEADER[at:at + len(magic)]
    return len(begins) == len(magic) and all(
        (ours ^ theirs) & bits == 0 for ours, theirs, bits in zip(begins, magic, mask, strict=False)
    )


def install(log: Log) -> None:
    """Install what is missing, and register the emulator, as far as that is allowed here.

    Raises Unable.
    """
    if docker_works() and (is_native() or is_registered()):
        return
    if os.geteuid() != 0:
        raise Unable("installing tools needs root")
    packages = list(missing())
    if packages:
        _install(log, packages)
    if not (is_native() or is_registered()):
        _register(log)


def _install(log: Log, packages: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise Unable(f"not Debian: install {' '.join(packages)}")
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y",
             "--no-install-recommends"]
    steps = ((["update"], _UPDATE_LIMIT), (["install", *packages], _INSTALL_LIMIT))
    for words, limit in steps:
        if log.status([*quiet, *words], within=limit):
            raise Unable(f"apt-get {words[0]} failed: see {log.file}")


def _register(log: Log) -> None:
    if not (BINFMT / "register").exists():
        log.status(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)])
    if is_registered():
        return
    try:
        (BINFMT / "register").write_bytes(_FORMAT.read_bytes())
    except OSError as error:
        # "File exists" is an entry of that name that lacks flag F, or is disabled.
        raise Unable(f"cannot register the emulator: {error.strerror}") from None
    if not is_registered():
        raise Unable("the emulator is registered, but binfmt_misc is disabled")
