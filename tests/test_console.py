"""`list`, `show`, `watch`, `revoke`: the archive as its operator sees it."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ground import console
from ground.outcome import Failure, ItemEntry
from ground.product import State
from ground.trust import Revocation, read_revocations
from occulta.program.keyfiles import encode_key
from tests.cli import assert_error, call, names, start
from tests.ground_world import (
    CREATED,
    DATA,
    FOREIGN,
    SIGNER,
    STRANGER,
    World,
    name_of,
    product_id,
    revoked,
    settle,
    tree,
)
from tests.support import SATELLITE

SHARED = ("archive.db-wal", "archive.db-shm")
"""What SQLite keeps beside a database that is open, for readers too."""
WHEN = "1970-01-01T01:23:20Z"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.archive.close()


def fill(world: World) -> None:
    for number in (1, 2, 3, 4):
        world.deliver(number, signer=FOREIGN if number == 4 else SATELLITE)
    settle(world, 1, items=(ItemEntry("complete"),))
    settle(world, 2, State.FAILED, verdict="not verified: cut",
           error=Failure(502, "cut", "fetch it again"))


def run(command: str, world: World, *more: object) -> Any:
    found = call("ground", command, "--archive", world.folder, *more)
    assert (found.status, found.err) == (0, ""), found
    return found


# --- list


def test_list(world: World) -> None:
    fill(world)
    assert run("list", world).out.decode().splitlines() == [
        f"{name_of(1)}  {WHEN}  recovered           17  frame-1  intact, authentic",
        f"{name_of(2)}  {WHEN}  failed              17  frame-2  not verified: cut",
        f"{name_of(3)}  {WHEN}  archived            17  frame-3  signed by alpha",
        f"{name_of(4)}  {WHEN}  archived            17  frame-4  unknown signer",
    ]


def test_list_as_json(world: World) -> None:
    fill(world)
    found = run("list", world, "--json").json
    assert found == [world.product(n).as_dict() for n in (1, 2, 3, 4)]
    assert found[1]["error"] == {"number": 502, "detail": "cut", "hint": "fetch it again"}
    assert [each["authentic"] for each in found] == [True, True, True, False]
    assert (found[0]["signer"], found[3]["signer"]) == (SIGNER.hex(), STRANGER.hex())


def test_list_one_state(world: World) -> None:
    fill(world)
    found = run("list", world, "--json", "--state", "archived").json
    assert [each["product"] for each in found] == [name_of(3), name_of(4)]
    assert run("list", world, "--state", "no_key").out == b"no products\n"
    assert_error(call("ground", "list", "--archive", world.folder, "--state", "lost"), 200)


def test_list_says_revoked(world: World) -> None:
    world.deliver(1)
    world.archive.set_trust(revoked(CREATED))
    assert run("list", world).out.decode().endswith("frame-1  revoked signer\n")


def test_an_empty_archive(world: World) -> None:
    assert run("list", world).out == b"no products\n"
    assert run("list", world, "--json").json == []


def test_the_archive_is_only_read(world: World) -> None:
    fill(world)
    world.archive.close()
    before = tree(world.folder)
    run("list", world)
    run("show", world, name_of(1))
    run("watch", world, "--timeout", "0")
    after = tree(world.folder)
    assert {name: after.pop(name, b"") for name in SHARED}["archive.db-wal"] == b""
    assert after == before


# --- show


def test_show_as_json(world: World) -> None:
    fill(world)
    (world.place(1) / ".report.json.12.partial").write_bytes(b"")
    found = run("show", world, name_of(1), "--json").json
    assert found["product"] == name_of(1)
    assert found["folder"] == str(world.place(1))
    assert sorted(found["files"]) == ["manifest", "received.jpg", "report.json"]
    assert found["files"]["received.jpg"] == len(DATA)
    assert found["report"]["items"] == [{"state": "complete"}]
    assert found == world.product(1).as_dict() | {
        name: found[name] for name in ("folder", "files", "report")
    }


def test_show(world: World) -> None:
    fill(world)
    lines = run("show", world, name_of(2)).out.decode().splitlines()
    for line in (
        f"product: {name_of(2)}", "frame_id: frame-2", f"received_at: {WHEN}", "state: failed",
        "satellite: alpha", "authentic: True", "error:", "  number: 502", "  hint: fetch it again",
        "files:", "  received.jpg: 17", "report:", "  verdict: not verified: cut",
    ):
        assert line in lines
    lines = run("show", world, name_of(1)).out.decode().splitlines()
    assert lines[-2:] == ["    state: complete", "  signed: True"]
    assert "  items 1:" in lines


def test_show_before_the_recovery(world: World) -> None:
    fill(world)
    assert run("show", world, name_of(3), "--json").json["report"] is None
    assert "report" not in run("show", world, name_of(3)).out.decode()


def test_show_by_the_beginning_of_an_id(world: World) -> None:
    fill(world)
    world.deliver(0xABCDEF << 100)
    assert run("show", world, "0ABC", "--json").json["product"] == name_of(0xABCDEF << 100)
    assert_error(call("ground", "show", "00", "--archive", world.folder), 200, "4 products have")
    assert_error(call("ground", "show", "ff", "--archive", world.folder), 200, "no product")


def test_show_by_the_frame_id(world: World) -> None:
    fill(world)
    assert run("show", world, "frame-3", "--json").json["product"] == name_of(3)
    world.deliver(5, frame_id="frame-3")
    found = call("ground", "show", "frame-3", "--archive", world.folder)
    assert_error(found, 200, "2 products have the frame id frame-3")


def test_show_says_nothing_of_a_profile_where_there_is_none(world: World) -> None:
    world.deliver(1, scheme="sealed", profile="none")
    world.deliver(2)
    assert "profile" not in run("show", world, name_of(1)).out.decode()
    assert run("show", world, name_of(1), "--json").json["profile"] == "none"
    assert "profile: exact" in run("show", world, name_of(2)).out.decode().splitlines()


def test_show_a_report_that_is_damaged(world: World) -> None:
    fill(world)
    (world.place(1) / "report.json").write_bytes(b'{"a_at": 1e300, "b_at": "x", "c": [[1]]}')
    lines = run("show", world, name_of(1)).out.decode().splitlines()
    assert lines[-4:] == ["report:", "  a_at: 1e+300", "  b_at: x", "  c: [[1]]"]
    shutil.rmtree(world.place(1))
    assert_error(call("ground", "show", name_of(1), "--archive", world.folder), 329)


# --- archives that are none


def _damage(world: World) -> None:
    (world.folder / "archive.db").write_bytes(b"garbage" * 1000)


def _other_version(world: World) -> None:
    with sqlite3.connect(world.folder / "archive.db") as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()


@pytest.mark.parametrize("command", [["list"], ["show", "00"], ["watch", "--timeout", "1"]])
@pytest.mark.parametrize(
    ("spoil", "saying"),
    [
        (lambda world: (world.folder / "archive.db").unlink(), "there is no archive.db in "),
        (_damage, "cannot read "), (_other_version, "is of another version"),
    ],
)
def test_an_archive_that_cannot_be_read(
    world: World, command: list[str], spoil: Callable[[World], object], saying: str
) -> None:
    world.archive.close()
    spoil(world)
    before = {*names(world.folder), *SHARED}
    assert_error(call("ground", *command, "--archive", world.folder), 329, saying)
    assert {*names(world.folder), *SHARED} == before


def test_a_folder_with_a_strange_name(tmp_path: Path) -> None:
    root = tmp_path / "a?mode=rwc&b#c%20"
    root.mkdir()
    world = World(root)
    world.deliver(1)
    assert len(run("list", world, "--json").json) == 1
    world.archive.close()


# --- watch


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens between the looks of `watch`, in a time of its own."""
    planned: list[Callable[[], object]] = []
    clock = [100.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        if planned:
            planned.pop(0)()

    monkeypatch.setattr(console.time, "sleep", sleep)
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    return planned


def test_watch_follows_what_is_new(world: World, turns: list[Callable[[], object]]) -> None:
    fill(world)
    turns += [
        lambda: world.deliver(5), lambda: None,
        lambda: world.archive.begin_recovery(product_id(5)),
        lambda: settle(world, 5), lambda: world.deliver(6), lambda: world.deliver(7),
    ]
    found = run("watch", world, "--json", "--count", "1")
    lines = [line.split('"state": "')[1].split('"')[0] for line in found.out.decode().splitlines()]
    assert lines == ["archived", "recovered"]
    assert len(turns) == 2


def test_watch_in_words(world: World, turns: list[Callable[[], object]]) -> None:
    turns += [lambda: world.deliver(1), lambda: settle(world, 1, State.NO_KEY, verdict="no key")]
    assert run("watch", world, "--count", "1").out.decode().splitlines() == [
        f"{name_of(1)}  {WHEN}  archived            17  frame-1  signed by alpha",
        f"{name_of(1)}  {WHEN}  no_key              17  frame-1  no key",
    ]


def test_watch_for_some_time(world: World, turns: list[Callable[[], object]]) -> None:
    turns += [lambda: None, lambda: world.deliver(1)]
    found = run("watch", world, "--timeout", "1.6")
    assert len(found.out.splitlines()) == 1
    assert console.time.monotonic() == pytest.approx(101.6)


def test_watch_says_when_too_few_came(world: World, turns: list[Callable[[], object]]) -> None:
    turns += [lambda: world.deliver(1), lambda: settle(world, 1)]
    found = call("ground", "watch", "--archive", world.folder, "--timeout", "2", "--count", "2")
    assert found.status == 3
    assert found.err.startswith("error 329: 1 of 2 recoveries have ended")
    assert len(found.out.splitlines()) == 2


@pytest.mark.parametrize(
    "options",
    [["--count", "0"], ["--count", "-1"], ["--count", "x"], ["--timeout", "-1"],
     ["--timeout", "inf"], ["--timeout", "nan"], ["--timeout", "soon"]],
)
def test_watch_takes_sensible_numbers(world: World, options: list[str]) -> None:
    assert_error(call("ground", "watch", "--archive", world.folder, *options), 200)


def test_watch_until_interrupted(world: World) -> None:
    process = start(
        "ground", "watch", "--archive", world.folder,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    number = 0
    os.set_blocking(process.stdout.fileno(), False)
    while not process.stdout.read():  # it follows what comes after it has begun
        number += 1
        world.deliver(number)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b"interrupted\n"
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


# --- revoke


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "satellite.pub"
    path.write_bytes(encode_key(SATELLITE.public))
    return path


@pytest.mark.parametrize(
    ("text", "since"),
    [("2026-05-01T12:00:00Z", 1777636800.0), ("2026-05-01T14:00:00+02:00", 1777636800.0),
     ("2026-05-01", 1777593600.0), ("1777636800", 1777636800.0), ("0", 0.0), ("1.5", 1.5)],
)
def test_revoke(
    tmp_path: Path, key: Path, text: str, since: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")  # whatever the operator's clock shows
    time.tzset()
    file = tmp_path / "revoked"
    found = call("ground", "revoke", key, "--since", text, "--file", file)
    assert (found.status, found.err) == (0, "")
    assert found.out.decode().startswith(f"{file}: {SIGNER.hex()} is revoked since ")
    monkeypatch.undo()
    time.tzset()
    assert read_revocations(file) == (Revocation(SIGNER, since),)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e300", "1969-01-01", "2026-13-01"])
def test_revoke_needs_a_time(tmp_path: Path, key: Path, text: str) -> None:
    file = tmp_path / "revoked"
    assert_error(call("ground", "revoke", key, f"--since={text}", "--file", file), 200, "a time")
    assert not file.exists()


def test_revoke_by_the_nodes_configuration(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "ground.yaml"
    text = (Path(__file__).parents[1] / "configs/ground.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("revocations")]
    config.write_text("\n".join([*lines, "revocations: revoked.txt"]))
    found = call("ground", "revoke", key, "--since", "5", "--config", config)
    assert found.status == 0, found
    assert read_revocations(tmp_path / "revoked.txt") == (Revocation(SIGNER, 5.0),)
    config.write_text("\n".join(lines))
    found = call("ground", "revoke", key, "--since", "5", "--config", config)
    assert_error(found, 207, "names no revocations")


def test_revoke_needs_one_place(tmp_path: Path, key: Path) -> None:
    assert_error(call("ground", "revoke", key, "--since", "5"), 200, "--config --file")
    both = ["--file", tmp_path / "a", "--config", tmp_path / "b"]
    assert_error(call("ground", "revoke", key, "--since", "5", *both), 200)


def test_revoke_in_a_folder(tmp_path: Path, key: Path) -> None:
    (tmp_path / "revoked").mkdir()
    found = call("ground", "revoke", key, "--since", "5", "--file", tmp_path / "revoked")
    assert_error(found, 207, f"cannot read {tmp_path}/revoked: Is a directory")


def test_revoke_a_key_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    found = call("ground", "revoke", tmp_path / "none", "--since", "5", "--file", file)
    assert_error(found, 202)
    assert "occulta-ground provision" in found.err.splitlines()[1]
    assert not file.exists()
