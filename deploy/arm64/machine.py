"""Whether this machine can build and run ARM64 images, and what makes it able to."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from deploy.arm64.engine import DOCKER, Engine, podman

PACKAGES = ("qemu-user-static", "debootstrap", "buildah", "podman", "conmon", "runc")
COMMANDS = ("qemu-aarch64-static", "debootstrap", "buildah", "podman", "conmon", "runc")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
_FORMAT = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")


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
            raise Unable("docker is here, but not the emulator: apt install qemu-user-static")
        return DOCKER
    if os.geteuid() != 0:
        raise Unable("without docker, buildah and podman are used, and need root")
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        raise Unable(f"not installed: {' '.join(missing)} (python3 dev.py arm64 tools)")
    if not (is_native() or is_registered()):
        raise Unable("the emulator is not registered (python3 dev.py arm64 tools)")
    return podman()


def docker_works() -> bool:
    """Whether a docker engine answers, and can build for other platforms."""
    if shutil.which("docker") is None:
        return False
    return all(_ends_well(["docker", *words]) for words in (["info"], ["buildx", "version"]))


def is_registered() -> bool:
    """Whether the kernel hands ARM64 programs to the emulator."""
    return any(BINFMT.glob("qemu-aarch64*"))


def install() -> None:
    """Install what is missing, and register the emulator, as far as that is allowed here.

    Raises Unable.
    """
    if docker_works() and (is_native() or is_registered()):
        return
    if os.geteuid() != 0:
        raise Unable("installing tools needs root")
    if any(shutil.which(command) is None for command in COMMANDS):
        _install_packages()
    if not (is_native() or is_registered()):
        _register()


def _install_packages() -> None:
    if shutil.which("apt-get") is None:
        raise Unable(f"not Debian: install {' '.join(PACKAGES)}")
    quiet = ["apt-get", "-qq", "-y", "--no-install-recommends"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", *PACKAGES]):
        done = subprocess.run([*quiet, *words], env=environment, capture_output=True, check=False)
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise Unable(f"apt-get {words[0]} failed: {' '.join(last)}")


def _register() -> None:
    """Flag F in the format: the emulator is opened now, so that a container needs none inside."""
    try:
        if not (BINFMT / "register").exists():
            subprocess.run(
                ["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)],
                check=True, capture_output=True,
            )
        if not is_registered():
            (BINFMT / "register").write_bytes(_FORMAT.read_bytes())
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unable(f"cannot register the emulator: {error}") from None


def _ends_well(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
