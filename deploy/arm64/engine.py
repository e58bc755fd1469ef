"""What builds images and runs containers: docker with buildx, or buildah and podman."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PLATFORM = "linux/arm64"
IMAGE = "localhost/occulta-onboard:arm64"
TEST_IMAGE = "localhost/occulta-onboard-test:arm64"
BASE = "localhost/occulta-base:bookworm"
REGISTRY_BASE = "docker.io/library/debian:bookworm-slim"
DOCKERFILE = "Dockerfile.arm64"
_CERTIFICATES = Path("/etc/ssl/certs")
_HARD = (
    "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
    "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096",
)
BOX = f"occulta-{os.getpid()}"
"""Name of the container of this run: there is one at a time, and it is taken away by this name."""
TMPFS_MIB = 16
"""Size of /tmp, which counts against the cap."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Commands of one kind of container engine."""

    name: str
    builder: tuple[str, ...]
    runner: tuple[str, ...]
    tool: str
    """What lists, inspects and removes."""
    has_registry: bool
    """Whether a registry is asked for the base; where it does not answer, or is not asked, the base
    is made here.
    """

    def build(
        self, target: str, tag: str, arguments: Mapping[str, str], *, is_fresh: bool = False
    ) -> list[str]:
        """Build a stage of the Dockerfile, in the project's root; `is_fresh` uses no cache."""
        words = [*self.builder, "--platform", PLATFORM, "--target", target, "-t", tag]
        words += ["--no-cache"] * is_fresh
        for name, value in {"BASE": BASE, **arguments}.items():
            words += ["--build-arg", f"{name}={value}"]
        return [*words, "-f", DOCKERFILE, "."]

    def run(
        self, image: str, arguments: Sequence[str], *, memory_mib: int | None = None,
        volumes: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None, entrypoint: str | None = None,
    ) -> list[str]:
        """Run a container as it flies: read-only, without capabilities, the host's network.

        `volumes` are folders that it sees at the same path, and may write; memory is capped
        without any swap.
        """
        words = [*self.runner, "run", "--rm", "--pull=never", "--platform", PLATFORM,
                 "--network", "host", "--name", BOX, *_HARD,
                 "--tmpfs", f"/tmp:size={TMPFS_MIB}m"]
        if memory_mib is not None:
            words += ["--memory", f"{memory_mib}m", "--memory-swap", f"{memory_mib}m"]
        for folder in volumes:
            words += ["-v", f"{folder}:{folder}"]
        for key, value in (environment or {}).items():
            words += ["-e", f"{key}={value}"]
        if entrypoint is not None:
            words += ["--entrypoint", entrypoint]
        return [*words, image, *arguments]

    def remove(self) -> list[str]:
        """Take the container of this run away, whatever it does."""
        return [self.tool, "rm", "-f", BOX]


DOCKER = Engine("docker", ("docker", "buildx", "build", "--load"), ("docker",), "docker", True)


def podman(with_certificates: bool = _CERTIFICATES.is_dir()) -> Engine:
    """buildah and podman as root, which needs no daemon, no registry and no user namespaces.

    The host's certificates are there while it is built, for package mirrors that have their own.
    """
    # The format of images that has health checks.
    builder = ["buildah", "bud", "--format", "docker", "--isolation", "chroot", "--layers",
               "--pull-never"]
    if with_certificates:
        builder += ["-v", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
    runner = ("podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc")
    return Engine("podman", tuple(builder), runner, "podman", False)
