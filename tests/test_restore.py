"""A product through its recovery: everything or nothing, and a report that says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from ground.outcome import Outcome
from ground.product import State
from ground.restore import restore
from ground.trust import Trust
from occulta.errors import Reason
from occulta.schemes.records import Record
from tests.cli import FOREIGN, PROFILES, SECRET, scene
from tests.ground_world import (
    CREATED,
    SIGNER,
    World,
    cut,
    entries,
    marked,
    name_of,
    payload,
    product_id,
    revoked,
    seal,
    tree,
)
from tests.support import KEY, OTHER_KEY

ITEM = seal(SECRET)
FRAME = scene()


class Ground(World):
    """A world in which products are recovered."""

    key_paths: list[Path]

    def recover(self, number: int) -> Outcome:
        """Recover a product, and tell the archive."""
        job = self.archive.begin_recovery(product_id(number))
        outcome = restore(self.folder, job, self.key_paths)
        self.archive.end_recovery(outcome)
        return outcome

    def receive(self, number: int, data: bytes, **options: Any) -> Outcome:
        """Deliver a product and recover it."""
        self.deliver(number, data, **options)
        return self.recover(number)

    def report(self, number: int) -> dict[str, Any]:
        """A product's report."""
        found: dict[str, Any] = json.loads((self.place(number) / "report.json").read_text())
        return found

    def names(self, number: int) -> list[str]:
        """Everything in a product's folder, hidden files too."""
        return sorted(path.name for path in self.place(number).iterdir())

    def private(self, number: int, name: str = "private.bin") -> bytes:
        """Private data in a product's folder."""
        return (self.place(number) / name).read_bytes()


@pytest.fixture
def world(tmp_path: Path) -> Ground:
    world = Ground(tmp_path)
    world.key_paths = world.key_files(KEY)
    return world


# --- the three schemes


@pytest.mark.parametrize("profile", PROFILES)
def test_a_picture_with_a_private_file(world: Ground, profile: str) -> None:
    outcome = world.receive(1, marked(SECRET, profile=profile), profile=profile)
    assert outcome == Outcome(name_of(1), State.RECOVERED, True, False, "intact, authentic")
    assert world.names(1) == [
        "carrier.jpg", "manifest", "private.bin", "received.jpg", "report.json",
    ]
    assert (world.place(1) / "carrier.jpg").read_bytes() == FRAME
    assert world.private(1) == SECRET
    said = world.report(1)
    assert (said["product"], said["state"], said["scheme"], said["profile"]) == (
        name_of(1), "recovered", "reversible", profile,
    )
    assert (said["intact"], said["authentic"], said["altered"]) == (True, True, False)
    assert (said["signer"], said["frame_id"], said["created_at"]) == (
        SIGNER.hex(), "frame-1", CREATED,
    )
    assert (said["private"], said["carrier"], said["items"]) == (["private.bin"], "carrier.jpg", [])
    assert (said["private_bytes"], said["carrier_bytes"], said["error"]) == (
        len(SECRET), len(FRAME), None,
    )
    assert world.product(1).state is State.RECOVERED
    assert (world.place(1) / "private.bin").stat().st_mode & 0o77 == 0


def test_a_sealed_frame(world: Ground) -> None:
    outcome = world.receive(1, seal(FRAME), scheme="sealed", profile="none")
    assert outcome.verdict == "intact, authentic"
    assert world.names(1) == ["carrier.jpg", "manifest", "received.sealed", "report.json"]
    assert (world.place(1) / "carrier.jpg").read_bytes() == FRAME
    said = world.report(1)
    assert (said["carrier_bytes"], said["signed"], said["private"]) == (len(FRAME), True, [])


def test_a_plain_frame_is_its_own_carrier(world: Ground) -> None:
    world.key_paths = []
    outcome = world.receive(1, FRAME, scheme="plain", profile="none")
    assert (outcome.state, outcome.authentic) == (State.RECOVERED, True)
    assert world.names(1) == ["manifest", "received.jpg", "report.json"]
    assert world.report(1)["carrier"] == "received.jpg"


def test_a_scheme_of_tomorrow(world: Ground) -> None:
    outcome = world.receive(1, FRAME, scheme="of-tomorrow")
    assert outcome.state is State.FAILED
    assert outcome.error is not None
    assert outcome.error.number == Reason.BAD_HIDDEN_DATA
    assert outcome.error.detail == "the scheme of-tomorrow is unknown"
    assert world.names(1) == ["manifest", "received.bin", "report.json"]


# --- items


def test_an_item_in_one_frame(world: Ground) -> None:
    outcome = world.receive(1, marked(payload(*cut("x", ITEM))))
    assert [item.state for item in outcome.items] == ["complete"]
    assert world.private(1) == SECRET
    assert world.report(1)["private"] == ["private.bin"]
    assert entries(world.report(1))["x"]["completed_by"] == name_of(1)
    assert tree(world.folder / "items") == {f"{SIGNER.hex()}/x.bin": SECRET}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_an_item_over_several_frames(world: Ground, order: tuple[int, ...]) -> None:
    pieces = cut("x", ITEM, 100, 250)
    for number in order[:-1]:
        outcome = world.receive(number, marked(payload(pieces[number - 1])))
        assert (outcome.state, outcome.items[0].state) == (State.RECOVERED, "incomplete")
        assert world.names(number) == ["carrier.jpg", "manifest", "received.jpg", "report.json"]
        assert entries(world.report(number))["x"]["missing_bytes"] > 0
    last = order[-1]
    assert world.receive(last, marked(payload(pieces[last - 1]))).items[0].state == "complete"
    assert world.private(last) == SECRET
    assert entries(world.report(last))["x"]["missing"] == []


def test_several_items_that_one_frame_completes(world: Ground) -> None:
    content = payload(*cut("a", ITEM), *cut("b", seal(b"second")))
    world.receive(1, marked(content))
    assert world.report(1)["private"] == ["private.bin", "private-2.bin"]
    assert (world.private(1), world.private(1, "private-2.bin")) == (SECRET, b"second")


def test_a_frame_that_carries_nothing(world: Ground) -> None:
    outcome = world.receive(1, marked(b""))
    assert (outcome.state, outcome.items) == (State.RECOVERED, ())
    assert world.names(1) == ["carrier.jpg", "manifest", "received.jpg", "report.json"]
    assert world.report(1)["private"] == []


def test_a_recovery_again_gives_the_same(world: Ground) -> None:
    pieces = cut("x", ITEM, 100)
    for number in (1, 2):
        world.receive(number, marked(payload(pieces[number - 1])))
    before = tree(world.folder / "products"), tree(world.folder / "items")
    world.recover(2)
    assert (tree(world.folder / "products"), tree(world.folder / "items")) == before
    world.recover(1)
    assert entries(world.report(1))["x"]["completed_by"] == name_of(2)
    assert world.report(1)["private"] == []


def test_lost_items_come_again_from_the_products(world: Ground) -> None:
    pieces = cut("x", ITEM, 100)
    for number in (1, 2):
        world.receive(number, marked(payload(pieces[number - 1])))
    world.archive.close()
    (world.folder / "items.db").write_bytes(b"garbage" * 1000)
    world.open()
    assert world.states() == {"archived": 2}
    world.recover(2)  # in another order
    assert world.names(2) == ["carrier.jpg", "manifest", "received.jpg", "report.json"]
    world.recover(1)
    assert world.private(1) == SECRET


def test_an_unverified_product_adds_nothing_to_a_satellites_item(world: Ground) -> None:
    pieces = cut("x", ITEM, 100)
    liar = Record("x", 100, len(ITEM), bytes(len(ITEM) - 100))
    world.receive(1, marked(payload(pieces[0])))
    assert world.receive(2, marked(payload(liar), FOREIGN), signer=FOREIGN).authentic is False
    world.receive(3, marked(payload(pieces[1])))
    assert world.private(3) == SECRET


# --- keys and signatures


def test_every_key_is_tried(world: Ground) -> None:
    world.key_paths = world.key_files(OTHER_KEY, KEY)
    assert world.receive(1, marked(SECRET)).state is State.RECOVERED
    assert world.receive(2, seal(FRAME), scheme="sealed").state is State.RECOVERED
    assert world.private(1) == SECRET


@pytest.mark.parametrize("keys", [[], [OTHER_KEY]])
@pytest.mark.parametrize("scheme", ["reversible", "sealed"])
def test_without_the_key_nothing_is_recovered(
    world: Ground, keys: list[Any], scheme: str
) -> None:
    world.key_paths = world.key_files(*keys)
    data = marked(SECRET) if scheme == "reversible" else seal(FRAME)
    outcome = world.receive(1, data, scheme=scheme)
    assert (outcome.state, outcome.lacks_key) == (State.NO_KEY, True)
    assert outcome.error is not None
    assert outcome.error.number == Reason.WRONG_KEY
    assert [n for n in world.names(1) if not n.startswith("received")] == [
        "manifest", "report.json",
    ]
    world.key_paths = world.key_files(KEY)
    assert world.archive.set_recipients([KEY.public.fingerprint]) == 1
    assert world.recover(1).state is State.RECOVERED


def test_an_unknown_signer_is_recovered_and_not_authentic(world: Ground) -> None:
    outcome = world.receive(1, marked(SECRET, FOREIGN), signer=FOREIGN)
    assert (outcome.state, outcome.authentic, outcome.verdict) == (
        State.RECOVERED, False, "intact, signature not checked",
    )
    world.trust = Trust({"beta": FOREIGN.public})
    world.open()
    assert world.recover(1).verdict == "intact, authentic"


def test_a_revoked_signer_is_recovered_and_not_authentic(world: Ground) -> None:
    world.trust = revoked(CREATED)
    world.open()
    outcome = world.receive(1, marked(payload(*cut("x", ITEM))))
    assert outcome.verdict == "intact, revoked signer"
    assert entries(world.report(1))["x"]["authentic"] is False
    assert sorted(tree(world.folder / "items")) == [f"unverified-{SIGNER.hex()}/x.bin"]


@pytest.mark.parametrize("signer", [None, FOREIGN])
@pytest.mark.parametrize("scheme", ["reversible", "sealed"])
def test_inside_must_sign_who_signed_outside(world: Ground, signer: Any, scheme: str) -> None:
    data = marked(SECRET, signer) if scheme == "reversible" else seal(FRAME, signer)
    outcome = world.receive(1, data, scheme=scheme)
    assert (outcome.state, outcome.authentic) == (State.FAILED, False)
    assert outcome.error is not None
    assert outcome.error.number == Reason.SIGNATURE_BROKEN
    assert [n for n in world.names(1) if not n.startswith("received")] == [
        "manifest", "report.json",
    ]


def test_what_proves_false_later_is_withdrawn(world: Ground) -> None:
    """Recovered without a look at the signature; then the signer is known, and it is not there."""
    world.receive(1, marked(SECRET, None), signer=FOREIGN)
    assert world.private(1) == SECRET
    world.trust = Trust({"beta": FOREIGN.public})
    world.open()
    assert world.recover(1).state is State.FAILED
    assert world.names(1) == ["manifest", "received.jpg", "report.json"]


# --- what may be wrong


def damage(world: Ground, number: int, name: str, content: bytes | None) -> None:
    path = world.place(number) / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def test_altered_products_fail_with_their_reason(world: Ground) -> None:
    picture = bytearray(marked(SECRET))
    picture[len(picture) // 2] ^= 0x10
    outcome = world.receive(1, bytes(picture))
    assert outcome.state is State.FAILED
    assert outcome.error is not None
    assert outcome.error.number // 100 in (3, 5)
    assert outcome.error.hint
    assert world.names(1) == ["manifest", "received.jpg", "report.json"]
    assert world.report(1)["verdict"] == f"not verified: {outcome.error.detail}"
    assert world.report(1)["error"]["number"] == outcome.error.number
    sealed = world.receive(2, seal(FRAME)[:-1], scheme="sealed")
    assert sealed.error is not None
    assert sealed.error.number == Reason.PRIVATE_DATA_INCOMPLETE


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("received.jpg", None, Reason.INPUT_UNREADABLE), ("received.jpg", b"x", Reason.TRUNCATED),
     ("manifest", None, Reason.INPUT_UNREADABLE), ("manifest", b"x", Reason.INPUT_UNREADABLE)],
)
def test_files_that_were_lost_since(
    world: Ground, name: str, content: bytes | None, reason: Reason
) -> None:
    world.deliver(1, marked(SECRET))
    damage(world, 1, name, content)
    outcome = world.recover(1)
    assert outcome.state is State.FAILED
    assert outcome.error is not None
    assert outcome.error.number == reason


def test_a_plain_frame_that_changed_since(world: Ground) -> None:
    world.deliver(1, FRAME, scheme="plain")
    damage(world, 1, "received.jpg", FRAME[:-1] + b"x")
    outcome = world.recover(1)
    assert outcome.error is not None
    assert outcome.error.number == Reason.DIGEST_MISMATCH


def test_a_fault_of_this_side_changes_nothing(world: Ground) -> None:
    world.receive(1, marked(SECRET))
    before = tree(world.place(1))
    world.key_paths[0].chmod(0o644)
    outcome = world.recover(1)
    assert (outcome.state, outcome.error and outcome.error.number) == (
        State.FAILED, Reason.KEY_PERMISSIONS,
    )
    assert tree(world.place(1)) == before
    world.key_paths[0].chmod(0o600)
    (world.place(1) / "carrier.jpg").unlink()
    (world.place(1) / "carrier.jpg").mkdir()  # in the way of the name
    outcome = world.recover(1)
    assert outcome.error is not None
    assert outcome.error.number == Reason.OUTPUT_UNWRITABLE
    assert world.names(1)[0] == "carrier.jpg"
    assert not list(world.place(1).glob(".*"))


def test_a_disk_that_refuses_an_item_changes_nothing(world: Ground) -> None:
    world.deliver(1, marked(payload(*cut("x", ITEM))))
    (world.folder / "items" / SIGNER.hex()).write_bytes(b"in the way")
    outcome = world.recover(1)
    assert outcome.error is not None
    assert outcome.error.number == Reason.OUTPUT_UNWRITABLE
    assert world.names(1) == ["manifest", "received.jpg"]
    (world.folder / "items" / SIGNER.hex()).unlink()
    world.open()
    assert world.recover(1).state is State.RECOVERED
    assert world.private(1) == SECRET


def test_what_a_crash_left_is_swept(world: Ground) -> None:
    world.deliver(1, marked(SECRET))
    (world.place(1) / ".carrier.jpg.1234.partial").write_bytes(b"half")
    (world.place(1) / "carrier.jpg").write_bytes(b"published before the report was")
    world.recover(1)
    assert world.names(1) == [
        "carrier.jpg", "manifest", "private.bin", "received.jpg", "report.json",
    ]
    assert (world.place(1) / "carrier.jpg").read_bytes() == FRAME


class Exhausted(list[Path]):
    """Key files on a machine that has no memory left."""

    def __iter__(self) -> Any:
        raise MemoryError


def test_want_of_memory_is_a_fault_of_this_side(world: Ground) -> None:
    world.deliver(1, marked(SECRET))
    before = tree(world.place(1))
    outcome = restore(world.folder, world.archive.begin_recovery(product_id(1)), Exhausted())
    assert outcome.error is not None
    assert (outcome.state, outcome.error.number) == (State.FAILED, Reason.OUT_OF_MEMORY)
    assert tree(world.place(1)) == before
