#!/usr/bin/env python3
"""The one task runner: makes .venv ready, then runs a demonstration, the tests or the checks.

Standard library only. No syntax newer than Python 3.6, so that an old interpreter gets a sentence
instead of a traceback.
"""

import hashlib
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent
MINIMUM = (3, 11)
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
# The rivals among the attacks come as wheels for x86-64 alone; tests of them skip elsewhere.
EXTRAS = ("raster", "dev") + (("attacks",) if platform.machine() in ("x86_64", "AMD64") else ())
# setup.py prints this line; it tells a machine without a compiler from a kernel that is broken.
NO_TOOLCHAIN = "kernels: no working C compiler with Python headers"
# A process for each core, four at most; the tests of one file stay together.
PARALLEL = ("-n", "auto", "--maxprocesses=4", "--dist=loadfile")
# Settings of the surrounding shell that would make .venv behave like something else.
FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")


class Target(NamedTuple):
    """What one target runs with the interpreter of .venv, and from where."""

    summary: str
    commands: "tuple[tuple[str, ...], ...]" = ()
    takes_args: bool = True
    in_root: bool = True
    has_steps: bool = False
    """Whether its arguments may be called as targets are."""


TARGETS = {
    "setup": Target("create .venv, install the pinned packages, build the kernels", (), False),
    "demo": Target(
        "a mission from camera to ground, with a report (--image your.jpg for your own picture)",
        (("-m", "sim", "run", str(ROOT / "configs" / "scenarios" / "demo.yaml")),),
        in_root=False,  # a path given to it is relative to where the caller stands
    ),
    "test": Target("run the tests (arguments go to pytest)", (("-m", "pytest", "-q", *PARALLEL),)),
    "check": Target(
        "lint with ruff, type-check with mypy --strict",
        (("-m", "ruff", "check", "--quiet", "."), ("-m", "mypy", "--strict", "--no-error-summary")),
        takes_args=False,
    ),
    "bench": Target("measure speed, memory and size", (("-m", "bench"),), in_root=False),
    "fuzz": Target("feed the parsers broken input for a while", (("-m", "tests.fuzz"),)),
    "arm64": Target(
        "build the flight image and prove it under emulation (steps as arguments)",
        (("-m", "deploy.arm64"),),
        has_steps=True,
    ),
}


READY = "ready: see it work with `python3 dev.py demo`; the commands are .venv/bin/occulta-*"


class Stop(Exception):
    """An end with a sentence, a hint and an exit status."""

    def __init__(self, message: str, hint: str, status: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status


def say(message: str) -> None:
    """Report progress on standard error, which leaves standard output to the target."""
    print("dev.py: " + message, file=sys.stderr, flush=True)


# --- the command line


def usage() -> str:
    """Return the help text, made from the table of targets."""
    lines = ["usage: python3 dev.py TARGET [ARGUMENT...]"]
    lines += ["       python3 dev.py TARGET TARGET...", ""]
    lines += [f"  {name:<6} {target.summary}" for name, target in TARGETS.items()]
    lines += [
        "",
        "Every target first makes .venv ready; once that is done it needs no network.",
        "Arguments after a single target are passed on to what it runs.",
        "OCCULTA_NO_COMPILER=1 removes the compiled kernels and uses the plain-Python ones.",
    ]
    return "\n".join(lines)


def plan(argv: "list[str]") -> "list[tuple[str, list[str]]]":
    """Turn the command line into targets and their arguments."""
    if argv[0] not in TARGETS:
        raise Stop(f"unknown target '{argv[0]}'", "one of: " + " ".join(TARGETS), 2)
    name, rest = argv[0], argv[1:]
    if not rest or (all(word in TARGETS for word in rest) and not TARGETS[name].has_steps):
        return [(word, []) for word in argv]
    if not TARGETS[name].takes_args:
        raise Stop(f"'{name}' takes no arguments", "not understood: " + " ".join(rest), 2)
    return [(name, rest[1:] if rest[0] == "--" else rest)]


# --- the environment


def require_python(version: "tuple[int, ...]" = sys.version_info[:2]) -> None:
    """Refuse an interpreter that is too old, naming a newer one where there is one."""
    if version >= MINIMUM:
        return
    names = [f"python3.{minor}" for minor in range(MINIMUM[1], 20)]
    newer = [name for name in names if shutil.which(name)]
    raise Stop(
        f"this is Python {version[0]}.{version[1]}, and 3.11 or newer is needed",
        f"run it with {newer[-1]}" if newer else "install Python 3.11 or newer",
    )


def require_venv() -> None:
    """Refuse an interpreter from which Debian has split the means to make an environment."""
    try:
        importlib.import_module("venv")
        importlib.import_module("ensurepip").bootstrap  # noqa: B018 - an empty folder imports too
    except (ImportError, AttributeError):
        raise Stop(
            "this Python cannot create .venv: Debian's package python3-venv is missing",
            f"apt install python3-venv (or python{VERSION}-venv)",
        ) from None


def base_python() -> str:
    """Return the interpreter outside any environment, which may be about to be replaced."""
    named = getattr(sys, "_base_executable", None) or sys.executable
    default = Path(sys.base_exec_prefix, "bin", f"python{VERSION}")
    return str(named or default)  # with an emptied environment Python may not know its own name


def venv_python(root: Path) -> str:
    """Return the path of the interpreter that everything runs with."""
    return str(root / ".venv" / "bin" / "python")


def clean_environment() -> "dict[str, str]":
    """Return the caller's environment without what would leak into .venv."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN}


def call(command: "list[str]", cwd: "Path | None" = None, **extra: str) -> int:
    """Run a command and return its exit status, the way a shell would count it."""
    environment = dict(clean_environment(), **extra)
    status = subprocess.call(command, cwd=cwd and str(cwd), env=environment)
    return status if status >= 0 else 128 - status


def is_usable(python: str) -> bool:
    """Tell whether .venv runs, and runs the version that this file was started with."""
    probe = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    try:
        return subprocess.call([python, "-I", "-c", probe], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def project_digest(root: Path) -> str:
    """Digest what the installed packages depend on: the pins, the interpreter and the place."""
    facts = f"{root} {VERSION}\n".encode()
    return hashlib.sha256(facts + (root / "pyproject.toml").read_bytes()).hexdigest()


def read_project(root: Path) -> "dict[str, Any]":
    """Return what pyproject.toml says."""
    import tomllib

    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def pinned_packages(root: Path) -> "list[str]":
    """Return every pinned requirement that development needs."""
    project = read_project(root)["project"]
    pins = set(project["dependencies"])
    for extra in EXTRAS:
        pins.update(project["optional-dependencies"][extra])
    return sorted(pins)


def make_venv(root: Path, clear: bool) -> None:
    """Create .venv, or repair one whose creation was interrupted."""
    require_venv()
    say("creating .venv")
    command = [base_python(), "-m", "venv", str(root / ".venv")]
    if call(command + ["--clear"] * clear):
        raise Stop("could not create .venv", "the lines above say why")


def install(root: Path) -> None:
    """Install the pinned packages, and the project itself as a path entry with its commands."""
    say("installing the pinned packages")
    pip = [venv_python(root), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
    if call([*pip, "--no-input", *pinned_packages(root)], root):
        raise Stop("could not install the pinned packages", "the first time needs the network")
    editable = [*pip, "--no-input", "--no-deps", "--no-build-isolation", "--editable", "."]
    if call(editable, root, OCCULTA_NO_COMPILER="1"):  # the kernels have a step of their own
        raise Stop("could not install the project into .venv", "the lines above say why")


def ensure_venv(root: Path) -> None:
    """Bring .venv up to date; do nothing where it is."""
    stamp, digest = root / ".venv" / "occulta-packages", project_digest(root)
    usable = is_usable(venv_python(root))
    if usable and stamp.is_file() and stamp.read_text() == digest:
        return
    if not (usable and stamp.is_file()):
        make_venv(root, clear=not usable)
    install(root)
    stamp.write_text(digest)


# --- the kernels


SHARED = "occulta/_cyutility"


def digest_of(*paths: Path) -> str:
    """Digest the contents of files, in the order given."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def kernel_digests(root: Path) -> "dict[str, str]":
    """Map each kernel's path to a digest of all that decides what it compiles to."""
    shared = [root / "setup.py", *sorted((root / "occulta").rglob("*.pxd"))]
    builders = " ".join(read_project(root)["build-system"]["requires"])
    return {
        path.relative_to(root).as_posix(): f"{VERSION} {builders} {digest_of(*shared, path)}"
        for path in sorted((root / "occulta").rglob("*_kernel.py"))
    }


def extensions_of(root: Path, kernel: str) -> "list[Path]":
    """Find the compiled modules that stand beside a kernel, for any interpreter."""
    path = root / kernel
    return sorted(path.parent.glob(path.stem + ".*.so"))


def discard(root: Path, kernel: str) -> None:
    """Remove everything that was made from a kernel."""
    c_name = Path(kernel).with_suffix(".c")
    made = [root / c_name, root / "build" / "cython" / c_name, *extensions_of(root, kernel)]
    for path in made:
        if path.exists():
            path.unlink()


def discard_stale(root: Path, wanted: "dict[str, str]", built: "dict[str, str]") -> None:
    """Remove what was made from sources that have changed or gone since."""
    found = (root / "occulta").rglob("*_kernel.*.so")
    sources = {(p.parent / p.name.split(".")[0]).relative_to(root).as_posix() for p in found}
    for kernel in set(wanted).union(name + ".py" for name in sources):
        if kernel not in wanted or wanted[kernel] != built.get(kernel):
            discard(root, kernel)


def missing_kernels(root: Path, wanted: "dict[str, str]") -> "list[str]":
    """Return the kernels that have no compiled module, or not what all of them share."""
    shared = extensions_of(root, SHARED)
    return [kernel for kernel in wanted if not (shared and extensions_of(root, kernel))]


def toolchain() -> "list[str | None]":
    """Describe the compiler and headers in sight, to notice when they appear."""
    names = [os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc"]
    commands = [shutil.which(name.split()[0]) if name else None for name in names]
    header = Path(sysconfig.get_path("include"), "Python.h")
    return [*commands, str(header.is_file())]


def compile_kernels(root: Path, wanted: "dict[str, str]") -> None:
    """Build the kernels in place, keeping the log; a broken kernel is an error."""
    say("building the kernels")
    log = root / ".venv" / "kernel-build.log"
    jobs = f"--parallel={os.cpu_count() or 1}"
    command = [venv_python(root), "setup.py", "build_ext", "--inplace", jobs]
    with log.open("wb") as out:
        status = subprocess.call(
            command, cwd=str(root), env=clean_environment(), stdout=out, stderr=subprocess.STDOUT
        )
    missing = missing_kernels(root, wanted)
    no_toolchain = NO_TOOLCHAIN in log.read_text(encoding="utf-8", errors="replace")
    if status or (missing and not no_toolchain):
        raise Stop("did not compile: " + " ".join(missing), "see .venv/" + log.name)


def read_stamp(path: Path) -> "dict[str, object]":
    """Return what the last build wrote down, or nothing."""
    try:
        stamp = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def build_kernels(root: Path) -> None:
    """Bring the compiled kernels up to date, or say that the plain ones are used."""
    stamp, wanted = root / ".venv" / "occulta-kernels", kernel_digests(root)
    last = read_stamp(stamp)
    built = last.get("digests")
    discard_stale(root, wanted, built if isinstance(built, dict) else {})
    # An attempt that failed is repeated only when there is something new to attempt it with.
    given_up = {"digests": wanted, "without": toolchain()}
    if missing_kernels(root, wanted) and last != given_up:
        if stamp.exists():
            stamp.unlink()  # an interrupted build must not look finished
        compile_kernels(root, wanted)
        done = not missing_kernels(root, wanted)
        stamp.write_text(json.dumps({"digests": wanted} if done else given_up))
    if missing_kernels(root, wanted):
        say("no C compiler or Python headers found: using the plain-Python kernel (slower)")


def use_plain_kernels(root: Path) -> None:
    """Remove every compiled kernel, as the caller asked."""
    discard_stale(root, kernel_digests(root), {})
    say("OCCULTA_NO_COMPILER is set: using the plain-Python kernel (slower)")


def set_up(root: Path) -> None:
    """Make .venv and the kernels ready, one caller at a time."""
    with open(__file__, "rb") as gate:
        try:
            import fcntl

            fcntl.flock(gate, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass  # some network file systems cannot lock; two at once is then the caller's care
        ensure_venv(root)
        if os.environ.get("OCCULTA_NO_COMPILER", "0") not in ("", "0"):
            use_plain_kernels(root)
        else:
            build_kernels(root)


# --- running


def run_target(root: Path, name: str, args: "list[str]") -> int:
    """Run the commands of one target, all of them, and return the first failure."""
    target = TARGETS[name]
    cwd = root if target.in_root else None
    statuses = [call([venv_python(root), *words, *args], cwd) for words in target.commands]
    return next((status for status in statuses if status), 0)


def main(argv: "list[str]") -> int:
    """Run the targets named on the command line, up to the first that fails."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    try:
        targets = plan(argv)
        require_python()
        set_up(ROOT)
        if targets == [("setup", [])]:
            say(READY)
        statuses = (run_target(ROOT, name, args) for name, args in targets)
        return next((status for status in statuses if status), 0)
    except Stop as stop:
        print(f"dev.py: {stop}\nhint: {stop.hint}", file=sys.stderr)
        return stop.status
    except OSError as error:
        print(f"dev.py: {error}\nhint: check permissions and free space", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
