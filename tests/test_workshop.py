"""Rules, products and seals: what a frame becomes, proved by recovering it as the ground does.

Also that private data reaches the disk in no other form than sealed, that a product's manifest is
signed and vouches for its bytes, and that no frame is ever held in memory.
"""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.strip import encode_strip, shuffled
from occulta.errors import OccultaError, Reason
from occulta.link.messages import (
    Credit,
    FrameChunk,
    FrameEnd,
    FrameStored,
    ManifestFile,
    ProductManifest,
)
from occulta.program.keyfiles import encode_key
from occulta.schemes.sealed import sealed_size
from onboard.config import LAST_RULES, Rule
from onboard.pipeline import Keys
from onboard.workshop import Workshop, matches
from tests import cli, jpegs
from tests.intake_support import (
    CAMERA,
    EXACT,
    EXAMPLES,
    GROUND,
    PAPER,
    PLAIN,
    SEALED,
    WALL,
    WINDOW,
    Onboard,
    begin,
    joined,
    open_sealed,
    queue,
    recovered,
    refused,
    store,
    tell,
)
from tests.support import KEY, OTHER_KEY, SATELLITE, private_bytes, runs_compiled

FRAME = jpegs.encode(3, 256, 256, quality=90)
LARGER = jpegs.encode(3, 640, 640)
"""`paper` carries little."""
MIB = 1 << 20

# --- rules


@pytest.mark.parametrize(("pattern", "camera", "expected"), [
    ("*", "anything", True),
    ("camera-1", "camera-1", True),
    ("camera-1", "camera-10", False),
    ("camera-?", "camera-1", True),
    ("camera-?", "camera-", False),
    ("thumbnail-*", "thumbnail-", True),
    ("thumbnail-*", "a-thumbnail-1", False),
    ("[ab]-*", "b-1", True),
    ("[!ab]-*", "b-1", False),
    ("Camera-1", "camera-1", False),
])
def test_cameras(pattern: str, camera: str, expected: bool) -> None:
    rule = Rule(scheme="sealed", camera=pattern)
    assert matches(rule, begin(camera=camera)) is expected


@pytest.mark.parametrize(("wanted", "labels", "expected"), [
    ({}, {}, True),
    ({}, {"mode": "survey"}, True),
    ({"mode": "survey"}, {"mode": "survey"}, True),
    ({"mode": "survey"}, {"mode": "survey", "band": "4"}, True),
    ({"mode": "survey"}, {"mode": "Survey"}, False),
    ({"mode": "survey"}, {"band": "survey"}, False),
    ({"mode": "survey", "band": "4"}, {"mode": "survey"}, False),
    ({"mode": ""}, {}, False),
])
def test_labels(wanted: dict[str, str], labels: dict[str, str], expected: bool) -> None:
    rule = Rule(scheme="sealed", labels=wanted)
    assert matches(rule, begin(labels=labels)) is expected


@pytest.mark.parametrize(("scheme", "says", "of_open", "of_sensitive"), [
    ("sealed", None, True, True),
    ("sealed", True, False, True),
    ("sealed", False, True, False),
    ("reversible", None, True, False),  # it would leave the picture in view
    ("reversible", True, False, True),  # it says itself that it may
    ("reversible", False, True, False),
    ("plain", False, True, False),
])
def test_sensitivity(
    scheme: str, says: bool | None, of_open: bool, of_sensitive: bool
) -> None:
    rule = Rule(scheme=scheme, sensitive=says)  # type: ignore[arg-type]
    assert matches(rule, begin()) is of_open
    assert matches(rule, begin(sensitive=True)) is of_sensitive


_RULES = st.builds(
    Rule, scheme=st.just("reversible"), sensitive=st.sampled_from([None, False]),
    camera=st.sampled_from(["*", "camera-1"]),
) | st.just(PLAIN)


@given(st.lists(_RULES, max_size=4))
@EXAMPLES
def test_sensitive_frames_are_sealed_unless_a_rule_says_otherwise(rules: list[Rule]) -> None:
    frame = begin(sensitive=True)
    chosen = next(rule for rule in [*rules, *LAST_RULES] if matches(rule, frame))
    assert chosen.scheme == "sealed"


def test_the_first_rule_that_matches_holds(tmp_path: Path) -> None:
    rules = (
        Rule(scheme="plain", sensitive=False, camera="thumb-*", priority=7),
        Rule(scheme="sealed", labels={"mode": "spot"}, priority=9),
        Rule(scheme="reversible", profile="paper", camera="camera-2", priority=11),
    )
    with Onboard(tmp_path, *rules) as onboard:
        found = {}
        for name, facts in {
            "thumb": {"camera": "thumb-1", "labels": {"mode": "spot"}},
            "spot": {"labels": {"mode": "spot"}},
            "paper": {"camera": "camera-2"},
            "other": {},
            "private-thumb": {"camera": "thumb-1", "sensitive": True},
            "private-paper": {"camera": "camera-2", "sensitive": True},
        }.items():
            product = store(onboard.frames, LARGER, name, **facts)
            manifest, _ = onboard.product(product)
            known = onboard.spool.products.get(product)
            assert known is not None
            found[name] = manifest.scheme, manifest.profile, known.priority
            assert recovered(onboard, product)[0] == LARGER
        assert found == {
            "thumb": ("plain", "none", 7),
            "spot": ("sealed", "none", 9),
            "paper": ("reversible", "paper", 11),
            "other": ("reversible", "exact", 128),
            "private-thumb": ("sealed", "none", 128),
            "private-paper": ("sealed", "none", 128),
        }


# --- products


def test_a_product_and_its_manifest(tmp_path: Path) -> None:
    with Onboard(tmp_path, PLAIN, destinations=(GROUND, 7)) as onboard:
        product = store(onboard.frames, FRAME, captured_at=1234.5, camera="camera-9")
        manifest, data = onboard.product(product)
        digest = hashlib.sha256(FRAME).digest()
        assert manifest == ProductManifest(
            product, "frame-1", 1234.5, WALL, "plain", "none",
            (ManifestFile("data", len(FRAME), digest),),
        )
        assert data == FRAME
        row = onboard.spool.products.get(product)
        assert row is not None
        assert (row.camera, row.captured_at, row.created_at) == ("camera-9", 1234.5, WALL)
        assert (row.destinations, row.size, row.sha256) == ((GROUND, 7), len(FRAME), digest)
        assert onboard.spool.counts().waiting == 2


@pytest.mark.parametrize("rule", [EXACT, PAPER, SEALED, PLAIN], ids=lambda rule: rule.name)
def test_every_scheme_comes_back(tmp_path: Path, rule: Rule) -> None:
    secret = private_bytes(200)
    with Onboard(tmp_path, rule) as onboard:
        queue(onboard.items, secret)
        original, payload = recovered(onboard, store(onboard.frames, LARGER))
        assert original == LARGER
        if rule.scheme == "reversible":
            sealed = joined([payload])["item-1"]
            assert open_sealed(sealed) == secret
            assert onboard.workshop.counters["blocks"] == 640 * 640 * 3 // 2 // 64
            assert onboard.workshop.counters["hidden_bytes"] > len(sealed)
        else:
            assert payload == b""
            assert onboard.workshop.counters["hidden_bytes"] == 0
            assert onboard.spool.counts().private_bytes == sealed_size(200, 1, True)


def test_sealed_frames_lie_on_the_disk_as_ciphertext_alone(tmp_path: Path) -> None:
    marker = private_bytes(64, seed=9)
    frame = FRAME[:2] + b"\xff\xfe" + (66).to_bytes(2, "big") + marker + FRAME[2:]
    with Onboard(tmp_path, EXACT) as onboard:
        product = store(onboard.frames, frame, sensitive=True)
        assert marker[:16] not in onboard.everything()
        assert recovered(onboard, product) == (frame, b"")


@pytest.mark.parametrize("rule", [EXACT, PAPER], ids=lambda rule: rule.name)
def test_the_command_of_the_ground_recovers_a_product(tmp_path: Path, rule: Rule) -> None:
    (tmp_path / "recipient.key").write_bytes(encode_key(KEY))
    (tmp_path / "recipient.key").chmod(0o600)
    (tmp_path / "satellite.pub").write_bytes(encode_key(SATELLITE.public))
    with Onboard(tmp_path / "spool", rule) as onboard:
        queue(onboard.items, b"a private item")
        product = store(onboard.frames, LARGER)
        data = onboard.spool.products.folder / product.hex() / "data"
        found = cli.call(
            "ground", "recover", data, "--key", tmp_path / "recipient.key",
            "--satellite", tmp_path / "satellite.pub", "-o", tmp_path / "out", "--json",
        )
    assert found.status == 0, found.err
    assert found.json["intact"] is found.json["authentic"] is True
    assert found.json["altered"] is False
    assert found.json["profile"] == rule.profile
    assert (tmp_path / "out" / "carrier.jpg").read_bytes() == LARGER
    payload = (tmp_path / "out" / "private.bin").read_bytes()
    assert open_sealed(joined([payload])["item-1"]) == b"a private item"


def test_every_recipient_opens_what_is_sealed(tmp_path: Path) -> None:
    with Onboard(tmp_path, SEALED, recipients=(KEY.public, OTHER_KEY.public)) as onboard:
        _, data = onboard.product(store(onboard.frames, FRAME))
        assert open_sealed(data, KEY) == open_sealed(data, OTHER_KEY) == FRAME


# --- private data in frames


def test_private_data_takes_its_share_of_a_frame(tmp_path: Path) -> None:
    with Onboard(tmp_path, EXACT, share=0.02) as onboard:
        queue(onboard.items, private_bytes(5000))
        _, payload = recovered(onboard, store(onboard.frames, FRAME))
        assert 0.02 * len(FRAME) - 96 < len(payload) <= 0.02 * len(FRAME)


def test_paper_is_given_no_more_than_it_carries(tmp_path: Path) -> None:
    with Onboard(tmp_path, PAPER, share=0.5) as onboard:
        queue(onboard.items, private_bytes(5000))
        _, payload = recovered(onboard, store(onboard.frames, LARGER))
        assert len(LARGER) / 128 - 96 < len(payload) <= len(LARGER) / 128


def test_private_data_without_a_size(tmp_path: Path) -> None:
    with Onboard(tmp_path, EXACT, when_unknown=700) as onboard:
        queue(onboard.items, private_bytes(5000))
        _, payload = recovered(onboard, store(onboard.frames, FRAME, size=None))
        assert 700 - 96 < len(payload) <= 700


@pytest.mark.parametrize("changes", [{"share": 0.0}, {"when_unknown": 0}, {"share": 1e-4}])
def test_no_room_no_private_data(tmp_path: Path, changes: dict[str, float]) -> None:
    size = None if "when_unknown" in changes else len(FRAME)
    with Onboard(tmp_path, EXACT, **changes) as onboard:
        queue(onboard.items, b"a private item")
        assert recovered(onboard, store(onboard.frames, FRAME, size=size)) == (FRAME, b"")


def test_an_item_rides_in_several_frames_across_restarts(tmp_path: Path) -> None:
    secrets = {"small": b"a private item", "large": private_bytes(3000), "empty": b""}
    with Onboard(tmp_path, EXACT, share=0.03) as onboard:
        for item_id, data in secrets.items():
            queue(onboard.items, data, item_id)
        payloads = []
        for number in range(40):
            product = store(onboard.frames, FRAME, f"frame-{number}")
            original, payload = recovered(onboard, product)
            assert original == FRAME
            payloads.append(payload)
            if number % 3 == 2:
                onboard.restart()
            if onboard.spool.counts().private_bytes == 0:
                break
        assert len(payloads) > 3
        sealed = joined(payloads)
        assert {item: open_sealed(data) for item, data in sealed.items()} == secrets


def test_frames_at_the_same_time_never_carry_the_same_bytes(tmp_path: Path) -> None:
    secret = private_bytes(1000)
    with Onboard(tmp_path, EXACT, share=0.02) as onboard:
        queue(onboard.items, secret)
        peers = ["a", "b", "c"]
        for peer in peers:
            onboard.frames.receive(peer, begin(peer, len(FRAME)), 0)
        onboard.frames.abandon()  # what was promised to them is free again
        payloads = [recovered(onboard, store(onboard.frames, FRAME, peer, peer))[1]
                    for peer in peers]
        assert open_sealed(joined(payloads)["item-1"]) == secret


# --- memory


def _in_chunks(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    yield bytes(pending)


@pytest.mark.parametrize("rule", [EXACT, SEALED, PLAIN], ids=lambda rule: rule.name)
def test_a_frame_is_never_held_whole(tmp_path: Path, rule: Rule) -> None:
    if rule is EXACT and not runs_compiled():
        pytest.skip("traced, the plain kernel takes many minutes; its buffers are the same")
    strip = encode_strip(Image.fromarray(jpegs.picture(1, 2000, 256)), 85)
    large = strip.repeated(65_000, shuffled(len(strip.rows)))  # made as it is read
    with Onboard(tmp_path, rule) as onboard:
        queue(onboard.items, private_bytes(10_000))
        size, digest = 0, hashlib.sha256()
        onboard.frames.receive(CAMERA, begin(), 0)
        tracemalloc.start()
        try:
            for chunk in _in_chunks(large, WINDOW // 2):
                answers = onboard.frames.receive(CAMERA, FrameChunk("frame-1", size, chunk), 0)
                assert all(isinstance(answer, Credit) for answer in answers)
                size += len(chunk)
                digest.update(chunk)
            end = FrameEnd("frame-1", size, digest.digest())
            (answer,) = tell(onboard.frames, CAMERA, end, 0)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(answer, FrameStored)
        assert size > 30 * MIB
        assert peak < 5 * MIB


def test_what_is_promised_to_a_frame_is_not_kept_in_memory(tmp_path: Path) -> None:
    """The payload itself is held, sealed as it is used; its pieces are not."""
    with Onboard(tmp_path, EXACT, when_unknown=1 << 22) as onboard:
        queue(onboard.items, bytes(4 * MIB), chunk=MIB)
        tracemalloc.start()
        try:
            onboard.frames.receive(CAMERA, begin(), 0)
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert 4 * MIB - 96 < held < 5 * MIB
        onboard.frames.abandon()


# --- misuse, and failures between the steps


def test_private_data_of_all_frames_in_progress_is_bounded(tmp_path: Path) -> None:
    """A size is only said: no number of frames that announce one makes the daemon read it all."""
    with Onboard(tmp_path, EXACT, share=0.5, most_open=64, max_bytes=1 << 30) as onboard:
        for number in range(3):
            queue(onboard.items, bytes(4 << 20), f"item-{number}", chunk=1 << 20)
        given = [0]
        for number in range(32):
            frame = begin(f"frame-{number}", 20 << 20, camera=f"camera-{number}")
            onboard.frames.receive(frame.camera, frame, 0.0)
            given.append(onboard.spool.items.given_bytes)
        taken = [after - before for before, after in pairwise(given)]
        assert (4 << 20) - 1000 < taken[0] <= 4 << 20
        assert taken[1] > (2 << 20) - 1000 and taken[2] > (1 << 20) - 1000
        assert given[-1] <= 8 << 20
        onboard.frames.abandon()
        assert onboard.spool.items.given_bytes == 0


def test_products_are_signed(tmp_path: Path) -> None:
    with Onboard(tmp_path, PLAIN) as onboard, pytest.raises(ValueError, match="signing key"):
        Workshop(
            onboard.spool, Keys((KEY.public,), None), LAST_RULES, {"ground": GROUND}, share=0.1,
            when_unknown=0, random=bytes, wall=lambda: WALL,
        )


def test_a_frame_that_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    class Dry(Exception):
        pass

    def dry(size: int) -> bytes:
        raise Dry

    with Onboard(tmp_path, EXACT) as onboard:
        queue(onboard.items, b"a private item")
        waiting = onboard.spool.counts().private_bytes
        onboard.workshop._random = dry
        with pytest.raises(Dry):
            onboard.frames.receive(CAMERA, begin(), 0)
        assert onboard.unfinished() == []
        assert onboard.spool.counts().private_bytes == waiting


def test_a_commit_that_fails_is_refused_and_repeated(tmp_path: Path) -> None:
    """The queue moves on only with the product."""
    steps: list[str] = []

    def fail(step: str) -> None:
        steps.append(step)
        if step == "product inserted" and steps.count(step) == 1:
            raise OccultaError(Reason.DISK_FULL, "no room")

    secret = private_bytes(300)
    with Onboard(tmp_path, EXACT) as onboard:
        queue(onboard.items, secret)
        onboard.spool.products._checkpoint = fail
        frames = onboard.frames
        frames.receive(CAMERA, begin(size=len(FRAME)), 0)
        frames.receive(CAMERA, FrameChunk("frame-1", 0, FRAME), 0)
        end = FrameEnd("frame-1", len(FRAME), hashlib.sha256(FRAME).digest())
        (answer,) = tell(frames, CAMERA, end, 0)
        assert refused(answer) == (Reason.DISK_FULL, True)
        assert onboard.spool.counts().products == 0
        product = store(frames, FRAME)
        assert open_sealed(joined([recovered(onboard, product)[1]])["item-1"]) == secret


def test_rules_may_change_while_frames_are_open(tmp_path: Path) -> None:
    """As a telecommand does: a frame keeps the rule that it began with."""
    with Onboard(tmp_path, PLAIN) as onboard:
        onboard.frames.receive(CAMERA, begin(size=5), 0)
        onboard.workshop.rules[0] = SEALED
        onboard.frames.receive(CAMERA, FrameChunk("frame-1", 0, b"frame"), 0)
        end = FrameEnd("frame-1", 5, hashlib.sha256(b"frame").digest())
        (answer,) = tell(onboard.frames, CAMERA, end, 0)
        assert isinstance(answer, FrameStored)
        assert onboard.product(answer.product_id)[0].scheme == "plain"
        later = store(onboard.frames, FRAME, "frame-2")
        assert onboard.product(later)[0].scheme == "sealed"
        assert list(islice(onboard.workshop.rules, 1)) == [SEALED]
