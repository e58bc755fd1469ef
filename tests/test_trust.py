"""Whose signatures count: keys that are known, and keys that count no longer."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.outcome import ItemEntry
from ground.product import State
from ground.trust import MAX_FILE, Revocation, Trust, add_revocation, read_revocations
from occulta.codec.crypto import SigningKey
from occulta.errors import OccultaError, Reason
from tests.ground_world import (
    CREATED,
    DATA,
    FOREIGN,
    NOW,
    SIGNER,
    STRANGER,
    TRUST,
    World,
    broken,
    manifest_of,
    outcome,
    product_id,
    revoked,
    settle,
    tree,
)
from tests.support import SATELLITE

LINE = f"occulta-revocation-1 {SIGNER.hex()} 1500.0\n"
KNOWN = {"alpha": SATELLITE.public}
BOTH = Trust(KNOWN | {"beta": FOREIGN.public})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def report(world: World, number: int) -> dict[str, object]:
    found: dict[str, object] = json.loads((world.place(number) / "report.json").read_text())
    return found


# --- whom to trust


def test_a_key_has_one_name() -> None:
    with pytest.raises(ValueError, match="two satellites"):
        Trust(KNOWN | {"beta": SATELLITE.public})


def test_the_earliest_revocation_counts() -> None:
    trust = Trust(KNOWN, [Revocation(SIGNER, t) for t in (30.0, 10.0, 20.0)])
    assert trust.revoked_since(SIGNER) == 10.0
    assert trust.revoked_since(STRANGER) == math.inf
    assert (trust.name(SIGNER), trust.name(STRANGER)) == ("alpha", None)


@pytest.mark.parametrize(("since", "counts"), [(CREATED, False), (CREATED + 0.5, True), (0, False)])
def test_a_revoked_key_counts_for_what_was_made_before(
    world: World, since: float, counts: bool
) -> None:
    world.trust = revoked(since)
    world.open()
    world.deliver(1)
    product = world.product(1)
    assert (product.authentic, product.revoked, product.satellite) == (counts, not counts, "alpha")
    job = world.archive.begin_recovery(product.id)
    assert job.revoked is not counts
    assert job.key == (SATELLITE.public.raw if counts else None)


def test_a_revoked_key_that_was_never_known(world: World) -> None:
    world.trust = revoked(0, FOREIGN)
    world.open()
    world.deliver(1, signer=FOREIGN)
    product = world.product(1)
    assert (product.authentic, product.revoked, product.satellite) == (False, True, None)


def test_a_revocation_corrects_what_was_recovered(world: World) -> None:
    for number, created_at in ((1, CREATED - 1), (2, CREATED), (3, CREATED)):
        world.deliver(number, created_at=created_at)
    for number in (1, 2):
        settle(world, number, items=(ItemEntry("complete"),))
    assert report(world, 2)["authentic"]
    world.archive.set_trust(revoked(CREATED))
    assert [world.product(n).authentic for n in (1, 2, 3)] == [True, False, False]
    assert [world.product(n).revoked for n in (1, 2, 3)] == [False, True, True]
    assert report(world, 1)["authentic"] is True
    said = report(world, 2)
    assert (said["authentic"], said["revoked"]) == (False, True)
    assert said["verdict"] == world.product(2).verdict == "intact, revoked signer"
    assert said["items"] == [{"state": "complete", "authentic": False}]
    assert world.states() == {"archived": 1, "recovered": 2}


def test_a_report_says_revoked_though_it_claimed_nothing(world: World) -> None:
    world.deliver(1, signer=FOREIGN)
    settle(world, 1, authentic=False, verdict="intact, signature not checked")
    world.archive.set_trust(revoked(0, FOREIGN))
    assert report(world, 1)["verdict"] == world.product(1).verdict == "intact, revoked signer"
    assert world.product(1).state is State.RECOVERED


def test_a_revocation_corrects_a_recovery_at_work(world: World) -> None:
    world.deliver(1)
    world.archive.begin_recovery(product_id(1))
    world.archive.set_trust(revoked(0))
    product = world.archive.end_recovery(outcome(1))
    # The worker verified under a key that counted: without a report there is nothing to correct.
    assert product.state is State.ARCHIVED
    assert not product.authentic
    assert world.archive.begin_recovery(product.id).key is None


def test_a_revocation_taken_back_asks_for_another_recovery(world: World) -> None:
    world.trust = revoked(0)
    world.open()
    world.deliver(1)
    settle(world, 1, authentic=False, revoked=True, verdict="intact, revoked signer")
    world.trust = TRUST
    world.open()
    assert world.product(1).authentic
    assert world.states() == {"archived": 1}


def test_a_key_that_becomes_known_counts_for_what_came_before(world: World) -> None:
    for number in (1, 2, 3):
        world.deliver(number, signer=FOREIGN)
    settle(world, 1, authentic=False, verdict="intact, signature not checked")
    manifest = world.place(2) / "manifest"
    manifest.write_bytes(broken(manifest.read_bytes()))
    third = SigningKey(bytes(32))
    (world.place(3) / "manifest").write_bytes(manifest_of(3, DATA, third))
    world.trust = BOTH
    world.open()
    assert [world.product(n).satellite for n in (1, 2, 3)] == ["beta", None, None]
    assert world.states() == {"archived": 3}


def test_a_key_that_is_known_no_longer(world: World) -> None:
    world.deliver(1)
    settle(world, 1)
    world.trust = Trust({})
    world.open()
    assert world.product(1).satellite is None
    assert report(world, 1)["authentic"] is False
    assert world.product(1).verdict == "intact, signature not checked"


def test_a_known_key_under_another_name(world: World) -> None:
    world.deliver(1)
    settle(world, 1)
    world.trust = Trust({"gamma": SATELLITE.public})
    world.open()
    assert (world.product(1).satellite, world.product(1).state) == ("gamma", State.RECOVERED)
    assert report(world, 1)["authentic"] is True


def test_trust_that_stays_changes_nothing(world: World) -> None:
    for number, signer in ((1, SATELLITE), (2, FOREIGN)):
        world.deliver(number, signer=signer)
        settle(world, number, authentic=signer is SATELLITE)
    before = [world.product(n) for n in (1, 2)], tree(world.folder / "products")
    world.open()
    assert ([world.product(n) for n in (1, 2)], tree(world.folder / "products")) == before


# --- the file


def test_revocations_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    add_revocation(path, Revocation(SIGNER, 1500.0))
    assert path.read_text() == LINE
    add_revocation(path, Revocation(STRANGER, NOW))
    assert read_revocations(path) == (Revocation(SIGNER, 1500.0), Revocation(STRANGER, NOW))
    assert [entry.name for entry in tmp_path.iterdir()] == ["revoked"]


def test_a_last_line_without_an_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.write_text(LINE.rstrip())
    add_revocation(path, Revocation(STRANGER, 1.0))
    assert [found.since for found in read_revocations(path)] == [1500.0, 1.0]


@given(st.floats(0, 1e12), st.binary(min_size=16, max_size=16))
def test_every_time_comes_back(since: float, fingerprint: bytes) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "revoked"
        add_revocation(path, Revocation(fingerprint, since))
        assert read_revocations(path) == (Revocation(fingerprint, since),)


@pytest.mark.parametrize(
    "content",
    [
        "nonsense\n", LINE + "nonsense\n", LINE.replace("-1", "-2"), LINE.rstrip()[:-6],
        LINE.replace(" 1500.0", " nan"), LINE.replace(" 1500.0", " inf"),
        LINE.replace(" 1500.0", " -1"), LINE.replace(SIGNER.hex(), SIGNER.hex()[2:]),
        LINE.rstrip() + " more\n", "\xff\n", LINE * (MAX_FILE // len(LINE) + 1),
    ],
)
def test_what_is_no_revocation_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "revoked"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(OccultaError) as caught:
        read_revocations(path)
    assert caught.value.reason is Reason.CONFIG_INVALID
    with pytest.raises(OccultaError):
        add_revocation(path, Revocation(STRANGER, 1.0))
    assert path.read_text(encoding="latin-1") == content


def test_blank_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.write_text(f"\n{LINE}\n\n")
    assert read_revocations(path) == (Revocation(SIGNER, 1500.0),)
    path.write_text("")
    assert read_revocations(path) == ()


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OccultaError) as caught:
        read_revocations(tmp_path / "revoked")
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.hint == "make an empty file if nothing was revoked"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OccultaError) as caught:
        add_revocation(tmp_path / "missing" / "revoked", Revocation(SIGNER, 1.0))
    assert caught.value.reason is Reason.OUTPUT_UNWRITABLE


@pytest.mark.parametrize("since", [-1.0, math.nan, math.inf])
def test_since_must_be_a_time(tmp_path: Path, since: float) -> None:
    with pytest.raises(ValueError, match="time"):
        add_revocation(tmp_path / "revoked", Revocation(SIGNER, since))
