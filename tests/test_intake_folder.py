"""Watched folders: a file is taken in once, leaves when it is durable, and harms no other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from occulta.errors import Reason
from occulta.link.messages import FrameBegin, encode
from onboard.config import FOLDER, Rule
from onboard.intake import FRAME_WORDS, ITEM_WORDS, REFUSED, FolderIntake
from onboard.spool import Product
from tests import jpegs
from tests.intake_support import (
    EXACT,
    PLAIN,
    STRICT,
    Onboard,
    joined,
    open_sealed,
    recovered,
)
from tests.support import private_bytes

INTERVAL = 2.0
CHUNK = 1000
FRAME = jpegs.encode(3, 256, 256, quality=90)


class World:
    """A folder, its intake and a clock."""

    def __init__(self, root: Path, onboard: Onboard, kind: str = "frames") -> None:
        self.folder = root / "in"
        self.onboard = onboard
        self.kind = kind
        self.now = 100.0
        self.start()

    def start(self) -> None:
        """The daemon starts."""
        machine, words = (
            (self.onboard.frames, FRAME_WORDS) if self.kind == "frames"
            else (self.onboard.items, ITEM_WORDS)
        )
        self.intake = FolderIntake(self.folder, machine, words, INTERVAL, CHUNK)

    def put(self, name: str, data: bytes, mtime: float = 1000.0) -> Path:
        """A file appears by rename."""
        temporary = self.folder / ".partly"
        temporary.write_bytes(data)
        os.utime(temporary, (mtime, mtime))
        temporary.rename(self.folder / name)
        return self.folder / name

    def names(self) -> list[str]:
        """Everything in the folder."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*")
                      if path.is_file() or path.is_symlink())

    def settle(self) -> int:
        """Until it waits for a time to come: the number of steps."""
        for step in range(100_000):
            if self.intake.next_timer() > self.now:
                return step
            self.step()
        raise AssertionError("it never rests")

    def step(self) -> None:
        """As the daemon does."""
        for camera, message in self.onboard.frames.work():
            self.intake.reply_if_known(camera, message)
        self.intake.update(self.now)

    def wait(self) -> None:
        """Until it looks at the folder again."""
        self.now = self.intake.next_timer()
        self.settle()

    def products(self) -> dict[str, bytes]:
        """The data of every product by its frame's id."""
        found = {}
        for place in self.onboard.spool.products.folder.iterdir():
            if not place.name.startswith("."):
                manifest, data = self.onboard.product(bytes.fromhex(place.name))
                found[manifest.frame_id] = data
        return found

    def newest(self) -> Product:
        """The one that waits."""
        found = self.onboard.spool.deliveries.next_waiting(2)
        assert found is not None
        return found


@pytest.fixture
def onboard(tmp_path: Path) -> Iterator[Onboard]:
    with Onboard(tmp_path / "spool", PLAIN, window=2 * CHUNK) as found:
        yield found


@pytest.fixture
def world(tmp_path: Path, onboard: Onboard) -> World:
    return World(tmp_path, onboard)


def test_a_file_that_appears_is_stored_and_removed(world: World) -> None:
    world.settle()
    assert world.intake.next_timer() == 100 + INTERVAL
    data = private_bytes(10_500)
    path = world.put("a.jpg", data, mtime=1234.5)
    world.intake.update(101.9)  # it is not looked at before
    assert not world.intake.is_feeding
    world.now = 102.0
    world.intake.update(102.0)
    assert world.intake.is_feeding and world.intake.next_timer() == 0
    assert path.exists()
    assert world.settle() == 14  # a chunk per step, the end, its piece, a look at the empty folder
    assert world.names() == []
    assert list(world.products().values()) == [data]
    product = world.newest()
    assert (product.camera, product.captured_at) == (FOLDER, 1234.5)
    assert world.intake.next_timer() == 102 + INTERVAL


def test_removed_only_once_it_is_durable(world: World) -> None:
    path = world.put("a.jpg", private_bytes(5000))
    while path.exists():
        assert world.onboard.frames.counters["frames_protected"] == 0
        world.step()
    assert world.onboard.spool.counts().products == 1


def test_the_oldest_first_and_all_without_a_pause(world: World) -> None:
    for name, mtime in (("a", 30), ("b", 10), ("c", 20), ("d", 10)):
        world.put(name, name.encode() * 50, mtime)
    world.settle()
    assert world.names() == []
    stored = []
    while product := world.onboard.spool.deliveries.next_waiting(2):
        world.onboard.spool.deliveries.mark_sending(product.id, 2)
        stored.append(world.onboard.product(product.id)[1][:1])
    assert stored == [b"b", b"d", b"c", b"a"]


def test_names_with_a_dot_links_and_folders_are_left_alone(world: World) -> None:
    outside = world.folder.parent / "outside.jpg"
    outside.write_bytes(b"outside")
    (world.folder / ".hidden").write_bytes(b"hidden")
    (world.folder / "link.jpg").symlink_to(outside)
    (world.folder / "dangling.jpg").symlink_to("nowhere")
    (world.folder / "folder").mkdir()
    (world.folder / "folder" / "deep.jpg").write_bytes(b"deep")
    os.mkfifo(world.folder / "pipe")
    before = world.names()
    world.settle()
    world.wait()
    assert world.names() == before
    assert world.onboard.frames.counters["frames_in"] == 0


def test_any_name_will_do(world: World) -> None:
    names = ["a b\n.jpg", "ü.jpg", "x" * 255, "-rf", os.fsdecode(b"\xff\xfe.jpg")]
    for number, name in enumerate(names):
        world.put(name, bytes([number]) * 10)
    world.settle()
    assert world.names() == []
    assert len(world.products()) == len(names)


@pytest.mark.parametrize(("mtime", "captured_at"), [
    (-500.0, 0.0), (0.0, 0.0), (1e9, 1e9), (1e12, 253_402_300_799.0), (-1e18, 0.0),
])
def test_any_time_will_do(world: World, mtime: float, captured_at: float) -> None:
    """Some file systems know times that no message can say."""
    found = world.put("a.jpg", b"data").stat()
    facts = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
    seen = os.stat_result(found[:10], facts | {"st_mtime": mtime})
    message = FRAME_WORDS.begin("key", seen)
    assert isinstance(message, FrameBegin) and encode(message)
    assert message.captured_at == captured_at


def test_the_same_file_again_is_the_same_frame(world: World) -> None:
    """As after a crash between the commit and the removal."""
    path = world.put("a.jpg", b"data")
    kept = world.folder / ".kept"
    kept.hardlink_to(path)
    world.settle()
    world.onboard.restart()
    world.start()
    kept.rename(path)
    world.settle()
    assert world.names() == []
    assert len(world.products()) == 1
    world.put("a.jpg", b"data", mtime=1000.5)
    world.put("b.jpg", b"data")
    world.wait()
    assert len(world.products()) == 3


def test_a_restart_in_the_middle_of_a_file(world: World) -> None:
    data = private_bytes(5000)
    world.put("a.jpg", data)
    for _ in range(3):
        world.intake.update(world.now)
    world.onboard.restart()
    assert world.onboard.unfinished() == []
    world.start()
    world.settle()
    assert list(world.products().values()) == [data]


def test_what_can_never_be_taken_in_is_moved_with_its_reason(tmp_path: Path) -> None:
    with Onboard(tmp_path / "spool", STRICT) as onboard:
        world = World(tmp_path, onboard)
        world.put("empty.jpg", b"")
        world.put("text.jpg", b"no picture" * 1000)
        world.put("good.jpg", FRAME)
        world.settle()
        assert world.names() == [
            "refused/empty.jpg", "refused/empty.jpg.reason", "refused/text.jpg",
            "refused/text.jpg.reason",
        ]
        refused = world.folder / REFUSED
        assert (refused / "text.jpg").read_bytes() == b"no picture" * 1000
        reason = (refused / "text.jpg.reason").read_text()
        assert reason.startswith(f"error {Reason.NOT_JPEG.value}: ")
        assert reason.endswith("\n") and reason.count("\n") == 1
        assert recovered(onboard, world.newest().id) == (FRAME, b"")


def test_what_its_scheme_cannot_take_comes_again_by_itself_and_is_sealed(tmp_path: Path) -> None:
    with Onboard(tmp_path / "spool", EXACT) as onboard:
        world = World(tmp_path, onboard)
        world.put("text.jpg", b"no picture" * 1000)
        world.settle()
        assert (world.names(), world.products()) == (["text.jpg"], {})
        world.wait()
        assert world.names() == []
        assert recovered(onboard, world.newest().id) == (b"no picture" * 1000, b"")
        assert world.newest().scheme == "sealed"


def test_a_reason_that_cannot_be_written(tmp_path: Path) -> None:
    """The longest name there is leaves no room for one that is longer."""
    with Onboard(tmp_path / "spool", STRICT) as onboard:
        world = World(tmp_path, onboard)
        world.put("x" * 255, b"no picture")
        world.settle()
        assert world.names() == ["refused/" + "x" * 255]


def test_a_file_that_cannot_be_moved_is_tried_again(tmp_path: Path) -> None:
    with Onboard(tmp_path / "spool", STRICT) as onboard:
        world = World(tmp_path, onboard)
        world.put("a.jpg", b"no picture")
        (world.folder / REFUSED).write_bytes(b"in the way")
        os.utime(world.folder / REFUSED, (2000, 2000))
        world.settle()  # `refused` itself is a file like any other, and no picture
        assert set(world.names()) == {"a.jpg", "refused"}
        (world.folder / REFUSED).unlink()
        world.wait()
        assert world.names() == ["refused/a.jpg", "refused/a.jpg.reason"]


def test_an_unreadable_file_keeps_no_other_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("first", b"unreadable", mtime=1)
    world.put("second", b"data", mtime=2)
    really_open = Path.open

    def open_(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == "first":
            raise PermissionError(13, "Permission denied")
        return really_open(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_)
    world.settle()
    assert world.names() == ["first"]
    assert list(world.products().values()) == [b"data"]
    monkeypatch.setattr(Path, "open", really_open)
    world.wait()
    assert world.names() == []


def test_pauses_grow(tmp_path: Path) -> None:
    with Onboard(tmp_path / "spool", PLAIN, max_bytes=1000) as onboard:
        world = World(tmp_path, onboard)
        world.put("large", bytes(2000))
        tries, at = onboard.frames.counters["frames_in"], []
        while world.now < 350:
            world.settle()
            if onboard.frames.counters["frames_in"] > tries:
                tries = onboard.frames.counters["frames_in"]
                at.append(world.now - 100)
            world.now = world.intake.next_timer()
        assert at == [0, 2, 6, 14, 30, 62, 122, 182, 242]
        # A file that goes meanwhile is forgotten; a new one under its name waits for nothing.
        (world.folder / "large").unlink()
        world.settle()
        world.wait()
        world.put("large", b"small now")
        world.wait()
        assert world.names() == [] and world.now < 360


def test_a_full_spool_loses_nothing(tmp_path: Path) -> None:
    with Onboard(tmp_path / "spool", PLAIN, max_bytes=8000) as onboard:
        world = World(tmp_path, onboard)
        for number in range(5):
            world.put(str(number), bytes([number]) * 3000, mtime=number)
        delivered = []
        for _ in range(40):
            world.settle()
            while product := onboard.spool.deliveries.next_waiting(2):
                onboard.spool.deliveries.mark_sending(product.id, 2)
                delivered.append(onboard.product(product.id)[1])
                onboard.spool.deliveries.mark_delivered(product.id, 2)
            world.now = world.intake.next_timer()
        assert sorted(delivered) == [bytes([number]) * 3000 for number in range(5)]
        assert world.names() == []


def test_a_file_that_vanishes(world: World) -> None:
    path = world.put("a.jpg", private_bytes(5000))
    world.intake.update(world.now)
    assert world.intake.is_feeding
    path.unlink()
    world.settle()  # it is open, and read to its end
    assert len(world.products()) == 1
    assert world.names() == []


@pytest.mark.parametrize("mtime", [1000.0, 2000.0])
def test_another_file_that_takes_the_name_meanwhile_is_not_lost(
    world: World, mtime: float
) -> None:
    """A camera that calls every picture the same; its clock may stand still."""
    first, second = bytes(5000), private_bytes(5000)
    world.put("latest.jpg", first)
    for _ in range(3):
        world.intake.update(world.now)
    world.put("latest.jpg", second, mtime)
    world.settle()
    assert sorted(world.products().values()) == sorted([first, second])
    assert world.names() == []


def test_only_the_file_that_was_refused_is_moved(tmp_path: Path) -> None:
    with Onboard(tmp_path / "spool", STRICT, window=2 * CHUNK) as onboard:
        world = World(tmp_path, onboard)
        world.put("latest.jpg", bytes(5000))
        world.intake.update(world.now)
        assert world.intake.is_feeding
        world.put("latest.jpg", FRAME)
        world.settle()
        (product,) = world.products()
        assert recovered(onboard, onboard.spool.products.known_frame(FOLDER, product)) == (
            FRAME, b""
        )
        assert world.names() == []


def test_the_name_of_a_file_is_in_its_id(world: World) -> None:
    for name in ("pass 7.jpg", "x" * 255, "\u00fc"):
        world.put(name, name.encode())
    world.settle()
    ids = {data: frame_id for frame_id, data in world.products().items()}
    for name, said in (("pass 7.jpg", "pass_7.jpg"), ("x" * 255, "x" * 40), ("\u00fc", "_")):
        assert re.fullmatch(re.escape(said) + "-[0-9a-f]{16}", ids[name.encode()])


def test_a_folder_that_vanishes(world: World) -> None:
    world.folder.rmdir()
    world.settle()
    assert world.intake.next_timer() == world.now + INTERVAL
    world.folder.mkdir()
    world.put("a.jpg", b"data")
    world.wait()
    assert world.names() == []


@pytest.mark.parametrize("change", [3000, 7000])
def test_a_file_that_changes_while_it_is_read(world: World, change: int) -> None:
    path = world.put("a.jpg", bytes(5000))
    for _ in range(3):
        world.intake.update(world.now)
    with path.open("r+b") as stream:
        stream.truncate(change)
    world.settle()
    assert world.products() == {}
    assert world.names() == ["a.jpg"]
    world.wait()
    assert list(world.products().values()) == [bytes(change)]
    assert world.onboard.unfinished() == []


def test_a_frame_that_timed_out_is_read_again(world: World) -> None:
    world.put("a.jpg", bytes(5000))
    for _ in range(3):
        world.intake.update(world.now)
    world.now += 11
    (told,) = world.onboard.frames.handle_timer(world.now)
    assert told[1].retry  # type: ignore[attr-defined]
    world.settle()
    assert world.names() == ["a.jpg"]
    world.wait()
    assert list(world.products().values()) == [bytes(5000)]


def test_rules_for_the_folder(tmp_path: Path) -> None:
    rule = Rule(scheme="sealed", camera=FOLDER)
    with Onboard(tmp_path / "spool", rule, PLAIN) as onboard:
        world = World(tmp_path, onboard)
        world.put("a.jpg", FRAME)
        world.settle()
        assert world.newest().scheme == "sealed"
        assert recovered(onboard, world.newest().id) == (FRAME, b"")


def test_items_from_a_folder(tmp_path: Path) -> None:
    secret = private_bytes(4000)
    with Onboard(tmp_path / "spool", EXACT, share=0.3) as onboard:
        world = World(tmp_path, onboard, "items")
        path, kept = world.put("secret.txt", secret), tmp_path / "kept"
        kept.hardlink_to(path)
        world.put("empty", b"")
        world.settle()
        assert world.names() == []
        found = sorted(map(open_sealed, onboard.queued().values()))
        assert found == [b"", secret]
        onboard.restart()
        world.start()
        kept.rename(path)
        world.settle()
        assert onboard.spool.counts().items == 2
        frames = World(tmp_path / "cameras", onboard)
        frames.put("a.jpg", FRAME)
        frames.settle()
        _, payload = recovered(onboard, frames.newest().id)
        assert sorted(map(open_sealed, joined([payload]).values())) == [b"", secret]


def test_an_item_that_grows_is_read_again(tmp_path: Path) -> None:
    with Onboard(tmp_path / "spool") as onboard:
        world = World(tmp_path, onboard, "items")
        path = world.put("secret", bytes(5000))
        for _ in range(3):
            world.intake.update(world.now)
        with path.open("ab") as stream:
            stream.write(b"more")
        world.settle()
        assert world.names() == ["secret"]
        world.wait()
        assert list(map(open_sealed, onboard.queued().values())) == [bytes(5000) + b"more"]


def test_a_folder_that_cannot_be_made(tmp_path: Path, onboard: Onboard) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):  # noqa: PT011
        FolderIntake(tmp_path / "file" / "in", onboard.frames, FRAME_WORDS, INTERVAL, CHUNK)
