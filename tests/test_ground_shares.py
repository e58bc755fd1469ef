"""Shares in the archive of one holder: kept as they came, said to be what they are, not opened."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ground.metrics import of_archive
from ground.product import State
from ground.trust import Trust
from occulta.errors import Reason
from tests.cli import call
from tests.ground_world import (
    CREATED,
    FOREIGN,
    NOW,
    SIGNER,
    TRUST,
    name_of,
    product_id,
    revoked,
    tree,
)
from tests.shares_support import SET_ID, frame, shares_of
from tests.support import KEY
from tests.test_restore import Ground

SHARES = {"scheme": "shares", "profile": "jpeg"}
WHEN = "1970-01-01T01:23:20Z"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Ground]:
    world = Ground(tmp_path)
    world.key_paths = []
    yield world
    world.archive.close()


def seed(index: int) -> bytes:
    return shares_of("seed")[1][index]


def listed(world: Ground, *options: str) -> list[str]:
    found = call("ground", "list", "--archive", world.folder, *options)
    assert found.status == 0
    lines: list[str] = found.out.decode().splitlines()
    return lines


@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["no-key", "key"])
@pytest.mark.parametrize(("form", "index", "number", "verdict"), [
    ("seed", 0, 1, "share 1 of 2, needs 2, authentic"),
    ("seed", 1, 2, "share 2 of 2, needs 2, authentic"),
    ("threshold", 2, 3, "share 3 of 3, needs 2, authentic"),
])
def test_a_share_is_kept_and_described(
    world: Ground, form: str, index: int, number: int, verdict: str, keys: tuple[Any, ...]
) -> None:
    made, parts = shares_of(form)
    world.key_paths = world.key_files(*keys)
    outcome = world.receive(1, parts[index], **SHARES)
    assert (outcome.state, outcome.verdict, outcome.error) == (State.SHARE, verdict, None)
    assert not outcome.lacks_key
    assert world.names(1) == ["manifest", "received.occ", "report.json"]
    assert (world.place(1) / "received.occ").read_bytes() == parts[index]
    report = world.report(1)
    clear = made.shares[index].clear
    assert report["share"] == {
        "set": SET_ID.hex(), "number": number, "holders": clear.holders,
        "threshold": clear.threshold, "form": clear.form.name.lower(),
    }
    assert (report["scheme"], report["profile"], report["carrier"]) == ("shares", "jpeg", None)
    assert world.product(1).state is State.SHARE
    assert world.archive.next_to_recover() is None


def test_the_console_and_the_metrics(world: Ground) -> None:
    world.receive(1, seed(1), **SHARES)
    said = "share 2 of 2, needs 2, authentic"
    line = f"{name_of(1)}  {WHEN}  share       {len(seed(1)):>10}  frame-1  {said}"
    assert listed(world) == listed(world, "--state", "share") == [line]
    shown = call("ground", "show", "--archive", world.folder, name_of(1), "--json").json
    assert (shown["state"], shown["verdict"], shown["error"]) == ("share", said, None)
    assert shown["report"]["share"]["number"] == 2
    samples = of_archive(world.archive)[0].samples
    assert ({"state": "share"}, 1) in samples and ({"state": "recovered"}, 0) in samples


def test_nothing_is_called_recovering_that_cannot_be(world: Ground) -> None:
    """A holder has no key and one share: between arrival and check it says no more than that."""
    world.deliver(1, seed(1), **SHARES)
    said = f"{len(seed(1)):>10}  frame-1  share held, not checked yet, signed by alpha"
    assert listed(world) == [f"{name_of(1)}  {WHEN}  archived    {said}"]
    world.archive.begin_recovery(product_id(1))
    assert listed(world) == [f"{name_of(1)}  {WHEN}  checking    {said}"]
    shown = call("ground", "show", "--archive", world.folder, name_of(1)).out.decode()
    assert "\nstate: checking\n" in shown and "recovering" not in shown


def test_an_unknown_signer_and_a_revoked_one(world: Ground) -> None:
    said = "share 1 of 2, needs 2, "
    assert world.receive(1, seed(0), signer=FOREIGN, **SHARES).verdict == (
        said + "signature not checked")
    world.receive(2, seed(0), **SHARES)
    world.archive.set_trust(revoked(CREATED))
    assert world.product(2).verdict == said + "revoked signer"
    assert world.report(2)["verdict"] == said + "revoked signer"
    assert world.report(2)["authentic"] is False
    assert world.product(2).state is State.SHARE


def test_a_signer_that_becomes_known(world: Ground) -> None:
    world.trust = Trust({})
    world.open()
    world.receive(1, seed(0), **SHARES)
    assert world.product(1).verdict == "share 1 of 2, needs 2, signature not checked"
    world.archive.set_trust(TRUST)
    assert world.product(1).state is State.ARCHIVED
    assert world.recover(1).verdict == "share 1 of 2, needs 2, authentic"


@pytest.mark.parametrize(("data", "reason"), [
    (b"", Reason.NOT_A_SHARE), (b"no share at all" * 9, Reason.NOT_A_SHARE),
    (b"\x0c\xc2\x02" + bytes(50), Reason.SHARE_VERSION),
    (b"\x0c\xc2\x01\x04" + bytes(50), Reason.SHARE_ALTERED),
])
def test_what_is_no_share(world: Ground, data: bytes, reason: Reason) -> None:
    outcome = world.receive(1, data, **SHARES)
    assert outcome.error is not None
    assert (outcome.state, outcome.error.number) == (State.FAILED, reason)
    assert world.names(1) == ["manifest", "received.occ", "report.json"]
    assert "share" not in world.report(1)


def test_a_share_that_was_damaged_in_the_archive(world: Ground) -> None:
    world.deliver(1, seed(1), **SHARES)
    received = world.place(1) / "received.occ"
    received.write_bytes(seed(1)[:-1] + bytes([seed(1)[-1] ^ 1]))
    outcome = world.recover(1)
    assert outcome.error is not None and outcome.error.number == Reason.DIGEST_MISMATCH
    received.write_bytes(seed(1)[:-1])
    outcome = world.recover(1)
    assert outcome.error is not None and outcome.error.number == Reason.TRUNCATED


def test_a_new_key_changes_nothing(world: Ground) -> None:
    world.receive(1, seed(1), **SHARES)
    assert world.archive.set_recipients([b"a key"]) == 0
    assert world.product(1).state is State.SHARE


def test_a_lost_database(world: Ground) -> None:
    world.receive(1, seed(1), **SHARES)
    world.archive.close()
    before = tree(world.folder / "products")
    (world.folder / "archive.db").unlink()
    world.open()
    assert world.product(1).state is State.SHARE
    assert world.product(1).verdict == "share 2 of 2, needs 2, authentic"
    assert world.product(1).signer == SIGNER
    assert tree(world.folder / "products") == before
    assert world.archive.scan(NOW) == []


@pytest.mark.parametrize("share", [7, {}, {"number": "x"}, [1]])
def test_a_report_that_says_nonsense(world: Ground, share: object) -> None:
    """It is made again."""
    world.receive(1, seed(1), **SHARES)
    report = world.report(1) | {"share": share}
    (world.place(1) / "report.json").write_text(json.dumps(report))
    world.archive.set_trust(revoked(CREATED))
    assert world.product(1).state is State.ARCHIVED
    assert world.recover(1).verdict == "share 2 of 2, needs 2, revoked signer"


def test_two_archives_restore_the_frame(tmp_path: Path) -> None:
    folders = []
    for index, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        holder = Ground(tmp_path / name)
        holder.key_paths = []
        holder.receive(1 + index, seed(index), **SHARES)
        folders.append(holder.folder)
        key = holder.key_files(KEY)[0]
        holder.archive.close()
    out = tmp_path / "out"
    done = call("ground", "recover", *folders, "--key", key, "-o", out)
    assert done.status == 0, done.err
    assert (out / "carrier.jpg").read_bytes() == frame()
    alone = call("ground", "recover", folders[1], "--key", key, "-o", tmp_path / "alone")
    assert alone.status == 3 and not (tmp_path / "alone/carrier.jpg").exists()


# --- shares that a version archived which did not know the scheme


def older(world: Ground, number: int) -> None:
    """As such a version left it: under its name for what it does not know, and given up."""
    (world.place(number) / "received.occ").rename(world.place(number) / "received.bin")
    report = world.report(number) | {
        "state": "failed", "verdict": "not verified: the scheme shares is unknown",
        "error": {"number": 328, "detail": "the scheme shares is unknown", "hint": "wait"},
    }
    report.pop("share")
    (world.place(number) / "report.json").write_text(json.dumps(report))


def test_a_share_that_an_older_version_archived(world: Ground) -> None:
    """Its database is not this version's, and made again."""
    world.receive(1, seed(1), **SHARES)
    older(world, 1)
    world.archive.close()
    (world.folder / "archive.db").unlink()
    world.open()
    assert world.archive.rejections["damaged"] == 0
    assert world.product(1).state is State.ARCHIVED
    assert world.recover(1).verdict == "share 2 of 2, needs 2, authentic"
    assert world.names(1) == ["manifest", "received.occ", "report.json"]
    assert (world.place(1) / "received.occ").read_bytes() == seed(1)


def test_a_share_with_an_old_name_beside_its_row(world: Ground) -> None:
    for number in (1, 2):
        world.receive(number, seed(1), **SHARES)
    older(world, 1)
    world.open()
    assert [world.product(number).state for number in (1, 2)] == [State.ARCHIVED, State.SHARE]
    assert world.recover(1).verdict == "share 2 of 2, needs 2, authentic"
    assert world.names(1) == ["manifest", "received.occ", "report.json"]
    assert world.open().next_to_recover() is None


def test_what_no_version_knows_keeps_its_name(world: Ground) -> None:
    world.receive(1, b"what a later version made", scheme="of-tomorrow")
    world.archive.close()
    (world.folder / "archive.db").unlink()
    world.open()
    assert world.names(1) == ["manifest", "received.bin", "report.json"]
    assert world.product(1).state is State.FAILED


def test_an_archive_of_an_older_version_gives_its_shares(world: Ground) -> None:
    for index in (0, 1):
        world.receive(1 + index, seed(index), **SHARES)
        older(world, 1 + index)
    key = world.key_files(KEY)[0]
    for number, names in enumerate(([world.folder], [world.place(1), world.place(2)])):
        out = world.folder.parent / f"out-{number}"
        done = call("ground", "recover", *names, "--key", key, "-o", out)
        assert done.status == 0, done.err
        assert (out / "carrier.jpg").read_bytes() == frame()
