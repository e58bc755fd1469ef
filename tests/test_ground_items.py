"""Private data from its pieces: in any order, repeated, overlapping, missing, or hostile."""

import random
import tracemalloc
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ground.items import (
    MAX_ITEMS,
    MAX_MISSING,
    Item,
    ItemStore,
    Limits,
    is_records,
    read_records,
    source_of,
)
from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.records import MAX_ITEM, Record
from tests.ground_world import FOREIGN, SIGNER, cut, payload, seal, tree
from tests.support import KEY, OTHER_KEY, SATELLITE, private_bytes

SOURCE = source_of(SIGNER, True)
SECRET = private_bytes(3000)
WHOLE = seal(SECRET)
KEYS = [KEY]
_products = count(1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ItemStore]:
    (tmp_path / "items").mkdir()
    store = ItemStore(tmp_path)
    yield store
    store.close()


def take(
    store: ItemStore, *records: Record, product: str = "p", source: str = SOURCE,
    keys: list[crypto.PrivateKey] = KEYS, signer: crypto.SigningKey | None = SATELLITE,
) -> dict[str, Item]:
    found = store.take(source, product, records, keys, signer and signer.public)
    return {item.item: item for item in found}


def facts(item: Item, *names: str) -> tuple[Any, ...]:
    said = item.as_dict()
    return tuple(said[name] for name in names)


# --- complete


def test_an_item_in_one_product(store: ItemStore, tmp_path: Path) -> None:
    item = take(store, *cut("report.pdf", WHOLE), product="p1")["report.pdf"]
    assert item.as_dict() == {
        "item": "report.pdf", "state": "complete", "authentic": True,
        "sealed_bytes": len(WHOLE), "missing_bytes": 0, "missing": [], "bytes": len(SECRET),
        "sha256": item.sha256.hex() if item.sha256 else None,
        "file": f"items/{SOURCE}/report.pdf.bin", "completed_by": "p1", "refused": None,
        "error": None,
    }
    assert tree(tmp_path / "items") == {f"{SOURCE}/report.pdf.bin": SECRET}
    assert store.path(item).read_bytes() == SECRET


@pytest.mark.parametrize("seed", range(4))
def test_pieces_in_any_order_overlapping_and_repeated(
    store: ItemStore, tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)
    records = []
    for _ in range(40):
        start = choose.randrange(len(WHOLE))
        stop = min(len(WHOLE), start + choose.randrange(400))
        records.append(Record("x", start, len(WHOLE), WHOLE[start:stop]))
    records += cut("x", WHOLE, *sorted(choose.sample(range(len(WHOLE)), 5)))
    choose.shuffle(records)
    states = [take(store, record)["x"].state for record in records]
    assert states[-1] == "complete"
    assert sorted(set(states)) == ["complete", "incomplete"]
    assert states == sorted(states, reverse=True)
    assert tree(tmp_path / "items") == {f"{SOURCE}/x.bin": SECRET}


def test_pieces_that_a_crash_left_behind_go(store: ItemStore, tmp_path: Path) -> None:
    take(store, *cut("x", WHOLE))
    (tmp_path / "items" / SOURCE / "x.part").write_bytes(WHOLE)  # complete in the database alone
    take(store, *cut("x", WHOLE))
    assert tree(tmp_path / "items") == {f"{SOURCE}/x.bin": SECRET}


def test_what_is_missing_is_said(store: ItemStore) -> None:
    first, second, third = cut("x", WHOLE, 1000, 2000)
    item = take(store, second)["x"]
    assert facts(item, "state", "missing_bytes", "missing", "file", "completed_by") == (
        "incomplete", len(WHOLE) - 1000, [(0, 1000), (2000, len(WHOLE))], None, None,
    )
    assert facts(take(store, third)["x"], "missing") == ([(0, 1000)],)
    done = take(store, first, product="p3")["x"]
    assert facts(done, "state", "missing", "completed_by") == ("complete", [], "p3")


def test_a_report_lists_so_many_ranges_and_no_more(store: ItemStore) -> None:
    records = [Record("x", at, 1000, b"x") for at in range(1, 1000, 2)]
    said = take(store, *records)["x"].as_dict()
    assert (len(said["missing"]), said["missing_bytes"]) == (MAX_MISSING, 500)
    assert said["missing"][:2] == [(0, 1), (2, 3)]


def test_several_items_at_once(store: ItemStore, tmp_path: Path) -> None:
    other = seal(b"other")
    found = take(store, *cut("a", WHOLE, 100), *cut("b", other)[:1], *cut("c", WHOLE, 5)[:1])
    assert {name: item.state for name, item in found.items()} == {
        "a": "complete", "b": "complete", "c": "incomplete",
    }
    assert tree(tmp_path / "items") == {
        f"{SOURCE}/a.bin": SECRET, f"{SOURCE}/b.bin": b"other", f"{SOURCE}/c.part": WHOLE[:5],
    }


def test_after_a_restart_nothing_is_lost(store: ItemStore, tmp_path: Path) -> None:
    first, second = cut("x", WHOLE, 1234)
    take(store, first)
    store.close()
    again = ItemStore(tmp_path)
    assert take(again, second)["x"].state == "complete"
    assert (tmp_path / "items" / SOURCE / "x.bin").read_bytes() == SECRET
    again.close()


def test_a_product_that_is_recovered_again_changes_nothing(store: ItemStore) -> None:
    first, second = cut("x", WHOLE, 1234)
    take(store, first, product="p1")
    done = take(store, second, product="p2")["x"].as_dict()
    assert take(store, first, product="p1")["x"].as_dict() == done
    assert take(store, second, product="p2")["x"].as_dict() == done
    assert (done["completed_by"], done["refused"]) == ("p2", None)


def test_one_name_from_two_satellites_is_two_items(store: ItemStore, tmp_path: Path) -> None:
    first, second = cut("x", WHOLE, 1234)
    foreign = source_of(bytes(16), True)
    take(store, first)
    assert take(store, second, source=foreign)["x"].state == "incomplete"
    assert take(store, second)["x"].state == "complete"
    assert sorted(tree(tmp_path / "items")) == [f"{foreign}/x.part", f"{SOURCE}/x.bin"]


def test_nobody_unverified_adds_to_a_satellites_items() -> None:
    assert source_of(SIGNER, True) == SIGNER.hex()
    assert source_of(SIGNER, False) == f"unverified-{SIGNER.hex()}"


# --- signatures and keys


@pytest.mark.parametrize(
    ("sealer", "expected", "is_authentic"),
    [(SATELLITE, SATELLITE, True), (FOREIGN, SATELLITE, False), (None, SATELLITE, False),
     (SATELLITE, None, False)],
)
def test_only_the_products_signer_makes_an_item_authentic(
    store: ItemStore, sealer: crypto.SigningKey | None, expected: crypto.SigningKey | None,
    is_authentic: bool,
) -> None:
    item = take(store, *cut("x", seal(SECRET, sealer)), signer=expected)["x"]
    assert (item.state, item.authentic) == ("complete", is_authentic)


def test_each_key_is_tried(store: ItemStore) -> None:
    item = take(store, *cut("x", WHOLE), keys=[OTHER_KEY, KEY])["x"]
    assert (item.state, store.path(item).read_bytes()) == ("complete", SECRET)


@pytest.mark.parametrize("keys", [[], [OTHER_KEY]])
def test_without_its_key_an_item_waits_sealed(
    store: ItemStore, tmp_path: Path, keys: list[crypto.PrivateKey]
) -> None:
    item = take(store, *cut("x", WHOLE), product="p1", keys=keys)["x"]
    assert facts(item, "state", "file", "authentic") == ("no_key", None, False)
    assert facts(item, "error")[0]["number"] == Reason.WRONG_KEY
    assert tree(tmp_path / "items") == {f"{SOURCE}/x.part": WHOLE}
    later = take(store, cut("x", WHOLE, 9)[0], product="p2")["x"]
    assert facts(later, "state", "completed_by", "error") == ("complete", "p1", None)
    assert tree(tmp_path / "items") == {f"{SOURCE}/x.bin": SECRET}


@pytest.mark.parametrize(
    ("whole", "reason"),
    [(WHOLE[:-1], Reason.PRIVATE_DATA_INCOMPLETE), (WHOLE + b"x", Reason.SEAL_BROKEN),
     (bytes(200), Reason.SEAL_BROKEN), (b"", Reason.PRIVATE_DATA_INCOMPLETE),
     (WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]), Reason.SEAL_BROKEN)],
)
def test_an_item_that_does_not_verify_is_kept_as_it_came(
    store: ItemStore, tmp_path: Path, whole: bytes, reason: Reason
) -> None:
    item = take(store, *cut("x", whole))["x"]
    assert (item.state, item.error, item.as_dict()["file"]) == ("failed", reason, None)
    assert tree(tmp_path / "items") == {f"{SOURCE}/x.part": whole}
    assert take(store, *cut("x", whole))["x"].state == "failed"


# --- pieces that do not agree, and bounds


def test_a_piece_that_contradicts_is_refused(store: ItemStore, tmp_path: Path) -> None:
    first, second = cut("x", WHOLE, 1000)
    take(store, first)
    liar = Record("x", 900, len(WHOLE), bytes(300))
    item = take(store, liar)["x"]
    assert item.refused == "a piece contradicts what was received before"
    assert facts(item, "missing") == ([(1000, len(WHOLE))],)
    done = take(store, liar, second)["x"]
    assert (done.state, done.refused) == ("complete", item.refused)
    assert (tmp_path / "items" / SOURCE / "x.bin").read_bytes() == SECRET


@pytest.mark.parametrize("total", [len(WHOLE) - 1, len(WHOLE) + 1, MAX_ITEM])
def test_a_piece_of_another_size_is_refused(store: ItemStore, total: int) -> None:
    first, second = cut("x", WHOLE, 1000)
    take(store, first)
    item = take(store, Record("x", 1000, total, b"more"))["x"]
    assert item.refused == f"a piece of an item of {total} bytes"
    assert facts(item, "missing") == ([(1000, len(WHOLE))],)
    assert take(store, second)["x"].state == "complete"
    late = take(store, Record("x", 1000, total, b"more"))["x"]
    assert (late.state, late.refused) == ("complete", item.refused)


def test_a_huge_item_costs_what_has_come_of_it(store: ItemStore, tmp_path: Path) -> None:
    take(store, Record("x", MAX_ITEM // 2, MAX_ITEM, b"piece"))
    part = tmp_path / "items" / SOURCE / "x.part"
    assert part.stat().st_size == MAX_ITEM // 2 + 5
    assert part.stat().st_blocks * 512 < 1 << 20


def test_an_item_may_be_in_so_many_ranges(tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    store = ItemStore(tmp_path, Limits(max_ranges=2))
    total = len(WHOLE)
    far = [Record("x", at, total, WHOLE[at : at + 10]) for at in (0, 100, 200)]
    item = take(store, *far)["x"]
    assert item.refused == "the item has too many gaps"
    assert list(item.received) == [(0, 10), (100, 110)]
    joined = take(store, Record("x", 10, total, WHOLE[10:100]), far[2])["x"]
    assert (joined.refused, list(joined.received)) == (None, [(0, 110), (200, 210)])
    store.close()


def test_so_many_items_may_be_incomplete(tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    store = ItemStore(tmp_path, Limits(max_incomplete=2))
    pieces = {name: cut(name, WHOLE, 10) for name in "abc"}
    found = take(store, pieces["a"][0], pieces["b"][0], pieces["c"][0], pieces["c"][1])
    assert {name: item.refused for name, item in found.items()} == {
        "a": None, "b": None, "c": "too many items are incomplete",
    }
    assert found["c"].state == "incomplete"
    assert sorted(tree(tmp_path / "items")) == [f"{SOURCE}/a.part", f"{SOURCE}/b.part"]
    assert take(store, pieces["a"][1])["a"].state == "complete"
    assert take(store, *pieces["c"])["c"].state == "complete"
    store.close()


# --- crashes


def test_pieces_written_but_not_noted_come_again(store: ItemStore, tmp_path: Path) -> None:
    part = tmp_path / "items" / SOURCE / "x.part"
    part.parent.mkdir()
    part.write_bytes(bytes(2000))
    assert take(store, *cut("x", WHOLE, 1000))["x"].state == "complete"
    assert (tmp_path / "items" / SOURCE / "x.bin").read_bytes() == SECRET


@pytest.mark.parametrize("left", [None, b"", WHOLE[:500]])
def test_pieces_whose_file_was_lost_are_missing_again(
    store: ItemStore, tmp_path: Path, left: bytes | None
) -> None:
    first, second = cut("x", WHOLE, 1000)
    take(store, first)
    part = tmp_path / "items" / SOURCE / "x.part"
    part.unlink()
    if left is not None:
        part.write_bytes(left)
    assert facts(take(store, second)["x"], "missing") == ([(0, 1000)],)
    assert take(store, first)["x"].state == "complete"


def test_an_item_opened_but_not_noted_is_opened_again(store: ItemStore, tmp_path: Path) -> None:
    first, second = cut("x", WHOLE, 1000)
    take(store, first)
    (tmp_path / "items" / SOURCE / "x.bin").write_bytes(b"of a crash")
    assert take(store, second)["x"].state == "complete"
    assert (tmp_path / "items" / SOURCE / "x.bin").read_bytes() == SECRET


def test_what_an_opening_that_was_cut_off_left_goes(store: ItemStore, tmp_path: Path) -> None:
    folder = tmp_path / "items" / SOURCE
    folder.mkdir()
    (folder / ".x.bin.01234567.partial").write_bytes(b"of a crash")
    (folder / ".y.bin.01234567.partial").write_bytes(b"another item's")
    assert take(store, *cut("x", WHOLE))["x"].state == "complete"
    assert tree(tmp_path / "items") == {
        f"{SOURCE}/x.bin": SECRET, f"{SOURCE}/.y.bin.01234567.partial": b"another item's",
    }


def test_a_disk_that_refuses_is_no_fault_of_the_item(store: ItemStore, tmp_path: Path) -> None:
    (tmp_path / "items" / SOURCE).mkdir()
    (tmp_path / "items" / SOURCE / "x.bin").mkdir()  # in the way of the name
    with pytest.raises(OccultaError) as caught:
        take(store, *cut("x", WHOLE))
    assert caught.value.reason is Reason.OUTPUT_UNWRITABLE
    (tmp_path / "items" / SOURCE / "x.bin").rmdir()
    assert take(store, cut("x", WHOLE, 5)[0])["x"].state == "complete"


def test_a_part_that_is_a_link_is_not_followed(store: ItemStore, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"untouched")
    (tmp_path / "items" / SOURCE).mkdir()
    (tmp_path / "items" / SOURCE / "x.part").symlink_to(target)
    with pytest.raises(OccultaError) as caught:
        take(store, *cut("x", WHOLE))
    assert caught.value.reason is Reason.OUTPUT_UNWRITABLE
    assert target.read_bytes() == b"untouched"


# --- payloads


def read(tmp_path: Path, content: bytes) -> list[Record]:
    path = tmp_path / f"payload-{next(_products)}"
    path.write_bytes(content)
    with path.open("rb") as stream:
        return list(read_records(stream, len(content)))


def holds_records(tmp_path: Path, content: bytes) -> bool:
    path = tmp_path / f"payload-{next(_products)}"
    path.write_bytes(content)
    with path.open("rb") as stream:
        return is_records(stream, len(content))


def test_a_payload_is_read_record_by_record(tmp_path: Path) -> None:
    records = [*cut("a", WHOLE, 7, 900), *cut("b", b"")]
    assert read(tmp_path, payload(*records)) == records
    assert holds_records(tmp_path, payload(*records))
    assert holds_records(tmp_path, b"")


@pytest.mark.parametrize("tail", [b"x", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x01\xc0"])
def test_a_payload_with_anything_else_in_it_is_none(tmp_path: Path, tail: bytes) -> None:
    content = payload(*cut("a", WHOLE)) + tail
    assert not holds_records(tmp_path, content)
    with pytest.raises(OccultaError) as caught:
        read(tmp_path, content)
    assert caught.value.reason is Reason.BAD_HIDDEN_DATA


@given(st.binary(min_size=1, max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_no_records(tmp_path: Path, content: bytes) -> None:
    assert not holds_records(tmp_path, content)


def test_a_length_beyond_the_payload_costs_nothing(tmp_path: Path) -> None:
    tracemalloc.start()
    assert not holds_records(tmp_path, b"\x7f\xff\xff\xff" + bytes(100))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_more_items_than_a_frame_carries_are_none(tmp_path: Path) -> None:
    records = [Record(f"item-{n}", 0, 1, b"x") for n in range(MAX_ITEMS + 1)]
    assert holds_records(tmp_path, payload(*records[:-1]))
    assert not holds_records(tmp_path, payload(*records))
