"""CFDP's files on a disk: nothing under its name before it is whole, nothing outside the folder."""

import os
from pathlib import Path

import pytest

from occulta.link.cfdp import Entity, FilestoreError, PutRequest, Remote, TransactionId
from occulta.link.cfdp.constants import Condition, Delivery, FileStatus
from occulta.link.cfdp.events import TransactionFinished
from occulta.link.cfdp.pdu import FileData
from occulta.program.filestore import PARTS, DiskFilestore
from tests.cfdp_world import GROUND, SAT, Sent, World

ID = TransactionId(1, 7)
DATA = bytes(range(256)) * 200


@pytest.fixture
def store(tmp_path: Path) -> DiskFilestore:
    (tmp_path / "out").mkdir()
    return DiskFilestore(tmp_path / "out", tmp_path / "in")


def visible(folder: Path) -> list[str]:
    found = [p for p in folder.rglob("*") if p.is_file() and PARTS not in p.parts]
    return sorted(str(p.relative_to(folder)) for p in found)


def test_a_file_appears_only_when_complete(store: DiskFilestore, tmp_path: Path) -> None:
    sink = store.open_sink(ID, False)
    sink.write(3, b"def")
    sink.write(0, b"abc")
    sink.sync()
    assert sink.read(0, 6) == b"abcdef"
    assert visible(tmp_path / "in") == []
    sink.commit("a/b/name.jpg", 6)
    assert (tmp_path / "in/a/b/name.jpg").read_bytes() == b"abcdef"
    assert list((tmp_path / "in" / PARTS).iterdir()) == []


def test_what_was_written_survives_a_restart(store: DiskFilestore) -> None:
    store.open_sink(ID, False).write(0, b"abc")
    assert store.open_sink(ID, True).read(0, 3) == b"abc"


def test_nothing_to_resume(store: DiskFilestore) -> None:
    with pytest.raises(FilestoreError):
        store.open_sink(ID, True)


def test_a_discarded_file_leaves_nothing(store: DiskFilestore, tmp_path: Path) -> None:
    sink = store.open_sink(ID, False)
    sink.write(0, b"abc")
    sink.discard()
    assert list((tmp_path / "in" / PARTS).iterdir()) == []


def test_a_file_that_exists_is_not_replaced(store: DiskFilestore, tmp_path: Path) -> None:
    (tmp_path / "in/name").write_bytes(b"old")
    sink = store.open_sink(ID, False)
    with pytest.raises(FilestoreError):
        sink.commit("name", 0)
    assert (tmp_path / "in/name").read_bytes() == b"old"


def test_a_file_that_arrives_again_may_replace_itself(tmp_path: Path) -> None:
    store = DiskFilestore(tmp_path, tmp_path / "in", replace=True)
    for content in (b"first", b"again"):
        sink = store.open_sink(ID, False)
        sink.write(0, content)
        sink.commit("name", 5)
    assert (tmp_path / "in/name").read_bytes() == b"again"


def test_the_files_of_each_source_lie_apart(tmp_path: Path) -> None:
    store = DiskFilestore(tmp_path, tmp_path / "in", replace=True, by_source=True)
    for source in (1, 3):
        store.open_sink(TransactionId(source, 7), False).write(0, str(source).encode())
    for source in (1, 3):
        store.open_sink(TransactionId(source, 7), True).commit("a/name", 1)
    assert visible(tmp_path / "in") == ["1/a/name", "3/a/name"]
    assert (tmp_path / "in/1/a/name").read_bytes() == b"1"


def test_nothing_is_published_among_the_parts(tmp_path: Path) -> None:
    store = DiskFilestore(tmp_path, tmp_path / "in", replace=True)
    other = store.open_sink(TransactionId(1, 8), False)
    other.write(0, b"another's")
    with pytest.raises(FilestoreError):
        store.open_sink(ID, False).commit(f"{PARTS}/1-8.part", 0)
    assert other.read(0, 9) == b"another's"


def test_only_files_of_open_transactions_are_kept(store: DiskFilestore, tmp_path: Path) -> None:
    for number in (7, 8, 9):
        store.open_sink(TransactionId(1, number), False).write(0, b"half")
    parts = tmp_path / "in" / PARTS
    (parts / "5-1.part").symlink_to(tmp_path / "elsewhere")
    (parts / "another").write_bytes(b"mine")
    (tmp_path / "elsewhere").write_bytes(b"mine")
    assert store.sweep([TransactionId(1, 8), TransactionId(3, 1)]) == 3
    assert {path.name for path in parts.iterdir()} == {"1-8.part", "another"}
    assert (tmp_path / "elsewhere").exists()
    assert store.sweep([TransactionId(1, 8)]) == 0


@pytest.mark.parametrize("name", ["../out/x", "/tmp/x", "a/../../x", "", ".", "a//b", "a\0b"])
def test_unsafe_names_are_refused(name: str, store: DiskFilestore) -> None:
    with pytest.raises(FilestoreError):
        store.open_sink(ID, False).commit(name, 0)
    with pytest.raises(FilestoreError):
        store.open_source(name)


def test_a_symbolic_link_to_a_folder_is_refused(store: DiskFilestore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "in/link").symlink_to(outside)
    with pytest.raises(FilestoreError):
        store.open_sink(ID, False).commit("link/x", 0)
    assert list(outside.iterdir()) == []


def test_a_symbolic_link_in_the_place_of_a_file_is_refused(
    store: DiskFilestore, tmp_path: Path
) -> None:
    (tmp_path / "in/link").symlink_to(tmp_path / "outside")
    with pytest.raises(FilestoreError):
        store.open_sink(ID, False).commit("link", 0)
    assert not (tmp_path / "outside").exists()


def test_a_symbolic_link_among_the_parts_is_refused(store: DiskFilestore, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "in" / PARTS / "1-7.part").symlink_to(tmp_path / "victim")
    with pytest.raises(FilestoreError):
        store.open_sink(ID, False)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_no_such_source(store: DiskFilestore) -> None:
    with pytest.raises(FilestoreError):
        store.open_source("missing")


def test_a_transfer_between_disks(tmp_path: Path) -> None:
    world = World(lambda sent: [] if _is_fifth(sent) else [0.01])
    for number in (SAT, GROUND):
        (tmp_path / f"{number}").mkdir()
        store = DiskFilestore(tmp_path / f"{number}", tmp_path / f"{number}")
        other = GROUND if number == SAT else SAT
        world.entities[number] = Entity(number, [Remote(other)], store)
    (tmp_path / "1/picture.jpg").write_bytes(DATA)
    world.sat.put(PutRequest(GROUND, "picture.jpg", "products/picture.jpg"), world.now)
    world.run()
    assert (tmp_path / "2/products/picture.jpg").read_bytes() == DATA
    (end,) = world.finished(SAT)
    assert (end.condition, end.delivery) == (Condition.NO_ERROR, Delivery.COMPLETE)


def _is_fifth(sent: Sent) -> bool:
    body = sent.body
    return isinstance(body, FileData) and body.offset // 1000 % 5 == 4 and sent.at == 1000.0


def test_a_name_that_is_taken_is_told_to_the_sender(tmp_path: Path) -> None:
    world = World()
    (tmp_path / "name").write_bytes(b"old")
    store = DiskFilestore(tmp_path, tmp_path)
    world.entities[GROUND] = Entity(GROUND, [Remote(SAT)], store)
    world.put(DATA, "name")
    world.run()
    (end,) = [e for e in world.events[SAT] if isinstance(e, TransactionFinished)]
    assert (end.condition, end.file_status) == (
        Condition.FILESTORE_REJECTION, FileStatus.REJECTED
    )
    assert (tmp_path / "name").read_bytes() == b"old"


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    store = DiskFilestore(tmp_path, tmp_path)
    sink = store.open_sink(ID, False)
    os.close(sink._file)
    sink._file = os.open("/dev/full", os.O_RDWR)
    with pytest.raises(FilestoreError):
        sink.write(0, b"abc")
