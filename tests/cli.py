"""Runs the commands, in this process or as real ones, and says what they left behind."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ground.__main__
import onboard.__main__
from occulta.program.keyfiles import encode_key
from tests import jpegs
from tests.support import KEY, OTHER_KEY, SATELLITE, private_bytes

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ["exact", "paper"]
RECOVERED = ["carrier.jpg", "private.bin", "report.json"]
SECRET = private_bytes(48)
FOREIGN = type(SATELLITE)(bytes(range(5, 37)))
_MAINS = {"onboard": onboard.__main__.main, "ground": ground.__main__.main}


@dataclass
class Outcome:
    """What a command said and its exit status."""

    status: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@cache
def scene(quality: int = 90, side: int = 256, seed: int = 3) -> bytes:
    """A small picture with room for private data in both profiles."""
    return jpegs.encode(seed, side, side, quality=quality)


@cache
def long_scene() -> bytes:
    """A small picture behind half a megabyte of comments."""
    comment = b"\xff\xfe" + (60_002).to_bytes(2, "big") + bytes(60_000)
    return scene()[:2] + 9 * comment + scene()[2:]


def call(program: str, *arguments: object) -> Outcome:
    """Run a command in this process."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with redirect_stdout(out), redirect_stderr(io.StringIO()) as err:
        try:
            status = _MAINS[program]([str(word) for word in arguments])
        except SystemExit as leaving:
            status = leaving.code or 0
        out.flush()
    return Outcome(status, out.buffer.getvalue(), err.getvalue())


def command(program: str, *arguments: object) -> list[str]:
    """The command line of a real process."""
    return [sys.executable, "-m", program, *(os.fspath(word) for word in arguments)]


def environment() -> dict[str, str]:
    """With it the programs run from any folder, their output buffered as usual."""
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**usual, "PYTHONPATH": str(ROOT)}


def run(program: str, *arguments: object, **options: Any) -> Outcome:
    """Run a command as a real process; `input` is its standard input."""
    return outcome_of(command(program, *arguments), **options)


def outcome_of(line: list[str], **options: Any) -> Outcome:
    """Run any command line that ends in one of ours."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    done = subprocess.run(line, check=False, timeout=120, **{**pipes, **options})
    return Outcome(done.returncode, done.stdout or b"", done.stderr.decode())


def start(program: str, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command that reads from a pipe."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        command(program, *arguments), env=environment(), **{**pipes, **options}
    )


def assert_error(found: Outcome, number: int, saying: str = "") -> None:
    """One line of error, one of hint, the exit status of the number, nothing else."""
    lines = found.err.splitlines()
    assert len(lines) == 2, found
    assert lines[0].startswith(f"error {number}: "), found
    assert lines[1].startswith("hint: "), found
    assert len(lines[1]) > len("hint: "), found
    assert saying in lines[0], found
    assert (found.status, found.out) == (number // 100, b""), found


def assert_some_error(found: Outcome) -> int:
    """The same, whatever the number, which is returned."""
    number = int(found.err.split(":")[0].removeprefix("error "))
    assert_error(found, number)
    return number


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files too."""
    return sorted(os.listdir(folder))


class Place:
    """A folder with keys, a picture and a private file, and the commands to use them."""

    def __init__(self, root: Path, image: bytes | None = None, private: bytes = SECRET) -> None:
        self.root = root
        self.keys = root / "keys"
        self.keys.mkdir()
        self.image = root / "scene.jpg"
        self.image.write_bytes(scene() if image is None else image)
        self.private = root / "secret.bin"
        self.private.write_bytes(private)
        self.work = root / "work"
        self.work.mkdir()
        self.marked = self.work / "marked.jpg"
        self.folder = root / "recovered"
        for name, key in (("recipient", KEY), ("other", OTHER_KEY)):
            self._write_pair(name, key)
        for name, key in (("satellite", SATELLITE), ("foreign", FOREIGN)):
            self._write_pair(name, key)

    def _write_pair(self, name: str, key: Any) -> None:
        (self.keys / f"{name}.key").write_bytes(encode_key(key))
        (self.keys / f"{name}.key").chmod(0o600)
        (self.keys / f"{name}.pub").write_bytes(encode_key(key.public))

    def key(self, name: str) -> str:
        """Path of a key file."""
        return str(self.keys / name)

    def to_protect(self, *extra: object, **other: object) -> list[object]:
        """Arguments of `protect`; `other` replaces image, private, to, output."""
        words = {"image": self.image, "private": self.private, "output": self.marked} | other
        to = other.get("to", "recipient.pub")
        return [
            "protect", words["image"], "--private", words["private"],
            "--to", self.key(str(to)), "-o", words["output"], *extra,
        ]

    def to_recover(self, *extra: object, **other: object) -> list[object]:
        """Arguments of `recover`; `other` replaces marked, key, output."""
        words = {"marked": self.marked, "output": self.folder} | other
        key = self.key(str(other.get("key", "recipient.key")))
        return ["recover", words["marked"], "--key", key, "-o", words["output"], *extra]

    def protect(self, *extra: object, **other: object) -> Outcome:
        """Run `protect` in this process."""
        return call("onboard", *self.to_protect(*extra, **other))

    def recover(self, *extra: object, **other: object) -> Outcome:
        """Run `recover` in this process."""
        return call("ground", *self.to_recover(*extra, **other))

    def report(self) -> Any:
        """The report of the last recovery."""
        return json.loads((self.folder / "report.json").read_text())

    def assert_nothing_marked(self) -> None:
        """Neither the marked file nor a temporary one."""
        assert names(self.work) == []

    def assert_recovered(self, folder: Path | None = None) -> None:
        """All three files, with the right contents."""
        folder = folder or self.folder
        assert names(folder) == RECOVERED
        assert (folder / "carrier.jpg").read_bytes() == self.image.read_bytes()
        assert (folder / "private.bin").read_bytes() == self.private.read_bytes()

    def assert_report_only(self, number: int) -> None:
        """Nothing was published but the report, which says why."""
        assert names(self.folder) == ["report.json"]
        report = self.report()
        assert report["error"]["number"] == number
        assert not report["intact"] or number == 503  # intact, but not from the satellite asked for
        assert not report["authentic"]
        assert report["verdict"].startswith("not verified: ")
