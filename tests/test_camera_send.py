"""`occulta-sim camera --connect` as a process, against the daemon's own intake on real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import zmq

from occulta.errors import Reason
from occulta.link.drops import Drop
from occulta.link.endpoint import Server, Settings, public_key
from occulta.link.messages import MAX_MESSAGE, FromCamera, FromPayload
from occulta.program.linkkeys import encode_curve_public, encode_curve_secret
from onboard.intake import SocketIntake
from sim.__main__ import main
from sim.camera import photograph
from tests import jpegs
from tests.cli import ROOT, environment
from tests.intake_support import EXACT, PLAIN, STRICT, Onboard, open_sealed, recovered
from tests.support import private_bytes

PATIENCE = 40.0
"""Seconds after which a test that waits has failed; none of them waits that long."""
SERVER, ALICE, EVE = (bytes([number]) * 32 for number in (1, 2, 3))
FRAME = jpegs.encode(3, 256, 256, quality=90)


class World:
    """The intake of a daemon, and the commands that send to it."""

    def __init__(self, folder: Path, stack: ExitStack, *rules: Any, **changes: Any) -> None:
        self.folder = folder
        self._stack = stack
        self.onboard = stack.enter_context(Onboard(folder / "spool", *rules, **changes))
        self.intakes: list[SocketIntake] = []
        self.processes: list[subprocess.Popen[str]] = []

    def listen(
        self, address: str, names: dict[bytes, str], kind: Any = FromCamera,
        key: bytes | None = None,
    ) -> str:
        """Where the daemon listens."""
        context = self._stack.enter_context(zmq.Context())
        server = Server(context, address, names, Settings(MAX_MESSAGE), secret_key=key)
        self._stack.enter_context(closing(server))
        machine = self.onboard.frames if kind is FromCamera else self.onboard.items
        self.intakes.append(SocketIntake(server, machine, kind))
        return server.address

    def cameras(self) -> str:
        return self.listen(f"ipc://{self.folder}/camera", {b"camera": "camera"})

    def start(self, *words: object) -> subprocess.Popen[str]:
        """The command, still running."""
        line = [sys.executable, "-m", "sim", "camera", *(os.fspath(w) for w in map(str, words))]
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        process: subprocess.Popen[str] = subprocess.Popen(
            line, env=environment(), cwd=ROOT, text=True, **pipes
        )
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        return process

    def run(self, until: Callable[[], object]) -> None:
        limit = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < limit, "nothing happened"
            told = self.onboard.frames.work()
            for intake in self.intakes:
                for camera, message in told:
                    intake.reply_if_known(camera, message)
                intake.update(time.monotonic())
            time.sleep(0.002)  # other processes send

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, list[str], list[str]]:
        """Exit status, lines of output, lines of errors."""
        self.run(lambda: process.poll() is not None)
        out, errors = process.communicate()
        return process.returncode, out.splitlines(), errors.splitlines()

    def send(self, *words: object) -> tuple[int, list[str], list[str]]:
        return self.finish(self.start(*words))

    def pictures(self, **files: bytes) -> Path:
        folder = self.folder / "pictures"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
            os.utime(folder / name, (1234, 1234))
        return folder


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def test_a_folder_of_frames(tmp_path: Path, stack: ExitStack) -> None:
    world = World(tmp_path, stack, EXACT)
    address = world.cameras()
    frames = world.pictures(a=FRAME, b=jpegs.encode(1, 300, 200), c=FRAME)
    (frames / ".hidden").write_bytes(b"no frame")
    status, out, errors = world.send("--connect", address, "--frames", frames)
    assert (status, errors) == (0, [])
    assert [line.split("-")[0] for line in out] == ["a", "b", "c"]
    for line, name in zip(out, "abc", strict=True):
        product = bytes.fromhex(line.split(" stored as ")[1])
        assert recovered(world.onboard, product) == ((frames / name).read_bytes(), b"")
        row = world.onboard.spool.products.get(product)
        assert row is not None
        assert (row.camera, row.captured_at, row.scheme) == ("camera", 1234.0, "reversible")
    # The same frames again are the same products.
    assert world.send("--connect", address, "--frames", frames) == (0, out, [])
    assert world.onboard.spool.counts().products == 3


def test_synthetic_frames_over_tcp(tmp_path: Path, stack: ExitStack) -> None:
    for name, key in (("own", ALICE), ("other", EVE)):
        (tmp_path / f"{name}.key").write_bytes(encode_curve_secret(key))
        (tmp_path / f"{name}.key").chmod(0o600)
    (tmp_path / "daemon.pub").write_bytes(encode_curve_public(public_key(SERVER)))
    world = World(tmp_path, stack, EXACT)
    address = world.listen("tcp://127.0.0.1:*", {public_key(ALICE): "eye-1"}, key=SERVER)
    keys = ["--server-key", tmp_path / "daemon.pub", "--key"]
    shown = ["--synthetic", 2, "--megapixels", 0.01, "--seed", 5, "--sensitive"]
    status, out, errors = world.send(
        "--connect", address, *keys, tmp_path / "own.key", *shown, "--name", "eye-1",
    )
    assert (status, errors) == (0, [])
    for line, seed in zip(out, (5, 6), strict=True):
        name, product = line.split(" stored as ")
        assert name.startswith(f"seed-{seed}-")
        row = world.onboard.spool.products.get(bytes.fromhex(product))
        assert row is not None
        assert (row.camera, row.scheme) == ("eye-1", "sealed")
    assert recovered(world.onboard, row.id) == (photograph(6, 0.01), b"")
    status, out, errors = world.send("--connect", address, *keys, tmp_path / "other.key", *shown)
    assert (status, out) == (2, [])
    assert errors[0] == f"error 200: the daemon at {address} refuses the key"
    assert errors[1].startswith("hint: ")
    status, out, errors = world.send("--connect", address, *shown)
    assert (status, out) == (2, [])
    assert errors[1] == "hint: give --key and --server-key"


def test_private_files(tmp_path: Path, stack: ExitStack) -> None:
    world = World(tmp_path, stack)
    address = world.listen(f"ipc://{tmp_path}/private", {b"payload": "payload"}, FromPayload)
    secrets = {"one.txt": private_bytes(700_000), "two ü": b"", "three": b"a secret"}
    paths = []
    for name, data in secrets.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    status, out, errors = world.send("--connect", address, "--private", *paths)
    assert (status, errors) == (0, [])
    assert [line.split("-")[0] for line in out] == ["one.txt", "two__", "three"]
    found = {key.split("-")[0]: open_sealed(data) for key, data in world.onboard.queued().items()}
    assert found == {"one.txt": secrets["one.txt"], "two__": b"", "three": b"a secret"}


def test_what_is_refused_for_good(tmp_path: Path, stack: ExitStack) -> None:
    world = World(tmp_path, stack, STRICT)
    frames = world.pictures(a=b"no picture", b=FRAME, c=FRAME[:1000])
    status, out, errors = world.send("--connect", world.cameras(), "--frames", frames)
    assert status == 3
    assert [line.split("-")[0] for line in out] == ["b"]
    assert errors[0].startswith("occulta-sim: a-") and "error 301: " in errors[0]
    assert errors[1].startswith("occulta-sim: c-") and "error 302: " in errors[1]
    assert errors[2] == "error 345: 2 refused for good, the rest is stored"
    assert errors[3].startswith("hint: ") and len(errors) == 4


def test_a_daemon_that_starts_later_and_again(tmp_path: Path, stack: ExitStack) -> None:
    world = World(tmp_path, stack, PLAIN, max_bytes=len(FRAME) + 5000)
    frames = world.pictures(a=FRAME, b=FRAME[::-1])
    process = world.start("--connect", f"ipc://{tmp_path}/camera", "--frames", frames)
    time.sleep(0.3)
    world.cameras()
    world.run(lambda: world.onboard.spool.counts().products == 1)
    first = world.onboard.spool.deliveries.next_waiting(2)
    assert first is not None
    world.run(lambda: world.onboard.frames.counters["frames_in"] > 1)  # refused: it is full
    world.intakes.pop().server.close()
    world.onboard.restart()
    world.cameras()
    world.onboard.spool.products.cancel(first.id)
    status, out, errors = world.finish(process)
    assert (status, errors) == (0, [])
    assert [line.split("-")[0] for line in out] == ["a", "b"]
    assert world.onboard.product(bytes.fromhex(out[1].split()[-1]))[1] == FRAME[::-1]


def test_nobody_answers(tmp_path: Path, stack: ExitStack) -> None:
    world = World(tmp_path, stack, PLAIN)
    frames = world.pictures(a=FRAME)
    absent = f"ipc://{tmp_path}/absent"
    address = world.cameras()
    alone = world.start("--connect", absent, "--frames", frames)
    stranger = world.start("--connect", address, "--frames", frames, "--name", "stranger")
    said: dict[str, str] = {}
    for process, name in ((alone, "alone"), (stranger, "stranger")):
        os.set_blocking(process.stderr.fileno(), False)  # type: ignore[union-attr]
        world.run(lambda p=process, n=name: said.setdefault(n, "")  # type: ignore[misc]
                  or said.update({n: p.stderr.readline()}))
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        assert process.returncode == 130
    assert said["alone"] == f"occulta-sim: {absent}: nobody there yet\n"
    assert said["stranger"].startswith(f"occulta-sim: {address}: no answer yet: is the name")
    assert world.onboard.spool.counts().products == 0


def test_patience_ends(tmp_path: Path, stack: ExitStack) -> None:
    """Where nobody is, and where nobody answers the name; not between two frames."""
    world = World(tmp_path, stack, PLAIN)
    frames = world.pictures(a=FRAME, b=FRAME)
    address = world.cameras()
    shown = ["--frames", frames, "--timeout"]
    for place, *name in ((f"ipc://{tmp_path}/absent",), (address, "--name", "stranger")):
        status, out, errors = world.send("--connect", place, *shown, 0.5, *name)
        assert (status, out) == (6, [])
        assert errors[0] == f"error 607: {place}: no answer for 0.5 s"
        assert errors[1].startswith("hint: is the name on the daemon's list")
    assert world.intakes[0].server.dropped[Drop.UNKNOWN_PEER] > 0
    assert Reason.DAEMON_SILENT == 607
    status, out, errors = world.send("--connect", address, *shown, 10, "--interval", 0.2)
    assert (status, len(out), errors) == (0, 2, [])


@pytest.mark.parametrize(("words", "message"), [
    (["--connect", "ipc://x", "--synthetic", "1", "--timeout", "0"],
     "--timeout takes a number of seconds above 0"),
    (["--connect", "udp://x:1", "--synthetic", "1"],
     "--connect udp://x:1: expected ipc://PATH or tcp://HOST:PORT"),
    (["--connect", "tcp://*:1", "--synthetic", "1"], "--connect needs a host and a port"),
    (["--connect", "ipc://x", "--synthetic", "1", "--key", "k"],
     "--key and --server-key go together"),
    (["--connect", "ipc://x"], "--connect needs --frames, --synthetic or --private"),
    (["--connect", "ipc://x", "--synthetic", "1", "--name", "a b"],
     "--name takes 1 to 64 of A-Z, a-z, 0-9, period, underscore, hyphen"),
    (["--connect", "ipc://x", "--synthetic", "1", "--interval", "-1"],
     "--interval takes 0 to 86400 seconds"),
    (["--connect", "ipc://x", "--synthetic", "1", "--interval", "nan"],
     "--interval takes 0 to 86400 seconds"),
    (["--connect", "ipc://x", "--synthetic", "0"], "--synthetic takes 1 or more"),
    (["--connect", "ipc://x", "--frames", "{folder}"], "no files in {folder}"),
    (["-o", "{folder}/x.jpg", "--synthetic", "1"], "there is nobody to send to"),
])
def test_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    folder = str(tmp_path)
    assert main(["camera", *(word.format(folder=folder) for word in words)]) == 2
    said = capsys.readouterr()
    line, hint = said.err.splitlines()
    assert line == f"error 200: {message.format(folder=folder)}"
    assert hint.startswith("hint: ") and said.out == ""


@pytest.mark.parametrize("option", ["--frames", "--private"])
def test_what_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    words = ["camera", "--connect", f"ipc://{tmp_path}/x", option, f"{tmp_path}/nowhere"]
    assert main(words) == 3
    line = capsys.readouterr().err.splitlines()[0]
    assert line == f"error 329: cannot read {tmp_path}/nowhere: No such file or directory"
