"""Where frames and items become products: rules, seals, manifests, the spool."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import msgspec

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.link.messages import (
    MAX_SIZE,
    FrameBegin,
    ItemBegin,
    ManifestFile,
    ProductManifest,
    sign_manifest,
)
from occulta.schemes import sealed
from occulta.schemes.records import OVERHEAD, Record, encode_records
from onboard.attempts import Attempt, Way
from onboard.config import Rule
from onboard.frames import Job
from onboard.items import ItemJob
from onboard.pipeline import (
    NO_PROFILE,
    REVERSIBLE,
    SEALED,
    SHARES,
    SHARES_PROFILE,
    Keys,
    counts,
    open_shares,
    open_stream,
)
from onboard.spool import DATA, ItemFile, Part, Piece, Product, ProductFile, ShareFiles, Spool

log = logging.getLogger("occulta.onboard")
_MAX_PAYLOADS = 1 << 23
"""Private bytes in all frames in progress: they are held in memory. One is given half of what is
left, 4 MiB at most, so that none keeps the others without."""
_PAPER_SHARE = 1 / 128
"""Of a frame's size: the profile carries a bit for each block, and more would never fit."""
_SEED = 1 << 10
"""Bytes of a share that is a sealed key, about."""


class _FrameContext(NamedTuple):
    rule: Rule
    file: ProductFile
    carried: list[Part]


class _ShareContext(NamedTuple):
    rule: Rule
    ids: list[bytes]
    files: ShareFiles


class Workshop:
    """What `Frames` and `Items` need of the daemon."""

    def __init__(
        self, spool: Spool, keys: Keys, rules: Sequence[Rule], destinations: Mapping[str, int], *,
        share: float, when_unknown: int, random: Callable[[int], bytes],
        wall: Callable[[], float],
    ) -> None:
        """`destinations` are entity ids by name: each gets every product, but of shares its own.

        `share` of a frame's size may be private data, `when_unknown` bytes without a size. `wall`
        gives seconds since 1970. `keys.signing` must be there: manifests are signed.
        """
        if keys.signing is None:
            raise ValueError("products are signed: give a signing key")
        self.rules = list(rules)
        self.counters: Counter[str] = Counter()
        self._signing = keys.signing
        self._spool = spool
        self._keys = keys
        self._destinations = dict(destinations)
        self._share = share
        self._when_unknown = when_unknown
        self._random = random
        self._wall = wall
        self._recipients = {key.fingerprint: key for key in keys.recipients}

    # Frames.

    def known_frame(self, camera: str, frame_id: str) -> bytes | None:
        """The product that this camera's frame became, if it did, the first of its shares."""
        return self._spool.products.known_frame(camera, frame_id)

    def begin(self, frame: FrameBegin, attempt: Attempt) -> Job:
        """Choose a scheme, open a file; raises OccultaError."""
        ruled = next(rule for rule in self.rules if matches(rule, frame))
        attempt = attempt.under(ruled)
        if ruled.scheme == SHARES:
            return self._begin_shares(frame, ruled, attempt)
        has_fallback = ruled.scheme == REVERSIBLE and ruled.fallback == SEALED
        is_fallback = has_fallback and attempt.way is Way.FALLBACK
        rule = msgspec.structs.replace(ruled, scheme=SEALED) if is_fallback else ruled
        file = self._spool.products.begin(frame.size, rule.priority)
        try:
            carries = attempt.way is Way.AS_RULED and rule.scheme == REVERSIBLE
            pieces = self._pieces(file, frame, rule) if carries else []
            payload = encode_records(
                Record(piece.item_key, piece.offset, piece.item_size, piece.data)
                for piece in pieces
            )
            product_id = self._random(16)
            stream = open_stream(rule.scheme, rule.profile, self._keys, product_id, payload)
        except BaseException:
            file.discard()
            raise
        context = _FrameContext(rule, file, [piece.part for piece in pieces])
        return Job(
            frame, product_id, stream, file.write, file.discard, ruled, attempt, context,
            has_private=bool(pieces), has_fallback=has_fallback and not is_fallback,
            fallback="sealed whole" if is_fallback else None,
        )

    def _begin_shares(self, frame: FrameBegin, rule: Rule, attempt: Attempt) -> Job:
        """As `begin`: a file for each holder, and no private data.

        What is no JPEG goes among the holders as bytes, never sealed to all of them instead: then
        whoever has a recipient's key would need one holder alone.
        """
        is_jpeg = attempt.way is not Way.FALLBACK
        ids = [self._random(16) for _ in rule.holders]
        files = self._spool.products.begin_shares(ids, _declared(frame, len(ids)), rule.priority)
        try:
            sinks = [file.write for file in files.files]
            stream = open_shares(
                self._keys, self._random, sinks, rule.threshold, is_jpeg=is_jpeg
            )
        except BaseException:
            files.discard()
            raise
        return Job(
            frame, ids[0], stream, _put_already, files.discard, rule, attempt,
            _ShareContext(rule, ids, files), has_fallback=is_jpeg,
            fallback=None if is_jpeg else "split as bytes",
        )

    def _pieces(self, file: ProductFile, frame: FrameBegin, rule: Rule) -> list[Piece]:
        share = min(self._share, _PAPER_SHARE) if rule.profile == "paper" else self._share
        room = self._when_unknown if frame.size is None else int(share * frame.size)
        most = (_MAX_PAYLOADS - self._spool.items.given_bytes) // 2
        return self._spool.items.next_pieces(file, min(room, most), OVERHEAD)

    def commit(self, job: Job) -> None:
        """Make the finished product, or all shares, durable; raises OccultaError."""
        if isinstance(job.context, _ShareContext):
            self._commit_shares(job, job.context)
            return
        rule, file, carried = job.context
        profile = rule.profile if rule.scheme == REVERSIBLE else NO_PROFILE
        product = Product(
            job.product_id, job.frame.frame_id, job.frame.camera, job.frame.captured_at,
            self._wall(), rule.scheme, profile, rule.priority, tuple(self._destinations.values()),
            file.size, file.sha256,
        )
        signed = self._manifest(product)
        job.product_id = self._spool.products.commit(file, product, signed, carried)
        log.info(
            "frame %s of %s stored: product %s, %s, %d bytes", job.frame.frame_id,
            job.frame.camera, job.product_id.hex(), rule.scheme, file.size,
        )
        blocks, hidden = counts(job.stream)
        self.counters["blocks"] += blocks
        self.counters["hidden_bytes"] += hidden

    def _commit_shares(self, job: Job, context: _ShareContext) -> None:
        products = list(self._shares(job.frame, context, self._wall()))
        signed = [self._manifest(product) for product in products]
        job.product_id = self._spool.products.commit_shares(context.files, products, signed)
        log.info(
            "frame %s of %s stored: products %s, %s, %d bytes", job.frame.frame_id,
            job.frame.camera, ", ".join(product_id.hex() for product_id in context.ids), SHARES,
            sum(product.size for product in products),
        )

    def _shares(
        self, frame: FrameBegin, context: _ShareContext, now: float
    ) -> Iterator[Product]:
        """Each for its own holder alone."""
        rule, ids, shares = context
        for product_id, file, holder in zip(ids, shares.files, rule.holders, strict=True):
            yield Product(
                product_id, frame.frame_id, frame.camera, frame.captured_at, now, SHARES,
                SHARES_PROFILE, rule.priority, (self._destinations[holder],), file.size,
                file.sha256,
            )

    def _manifest(self, product: Product) -> bytes:
        """Signed."""
        manifest = ProductManifest(
            product.id, product.frame_id, product.captured_at, product.created_at, product.scheme,
            product.profile, (ManifestFile(DATA, product.size, product.sha256),),
        )
        return sign_manifest(manifest, self._signing)

    # Items.

    def item_owner(self, item_id: str) -> str | None:
        """The program whose item is durable under this id, or was and has been sent."""
        return self._spool.items.owner(item_id)

    def begin_item(self, peer: str, item: ItemBegin) -> ItemJob:
        """Open a file and a seal for the recipients named; raises OccultaError."""
        recipients = self._named(item) or list(self._keys.recipients)
        size = sealed.sealed_size(item.size, len(recipients), signed=True)
        if size > MAX_SIZE:
            raise OccultaError(Reason.BAD_INTAKE, f"an item of {item.size} bytes is too long")
        file = self._spool.items.begin(peer, item.item_id, size)
        context = sealed.context(self._random(crypto.PRODUCT_ID_SIZE))
        sealer = crypto.Sealer.create(context, recipients, self._signing)
        return ItemJob(item, sealed.SealingStream(sealer), file.write, file.discard, file)

    def _named(self, item: ItemBegin) -> list[crypto.PublicKey]:
        try:
            return [self._recipients[fingerprint] for fingerprint in item.recipients]
        except KeyError:
            raise OccultaError(Reason.BAD_INTAKE, "the item names an unknown recipient") from None

    def commit_item(self, job: ItemJob) -> None:
        """Make the sealed item durable; raises OccultaError."""
        file: ItemFile = job.context
        if job.position != job.item.size:
            raise OccultaError(
                Reason.BAD_INTAKE, f"{job.position} bytes of the {job.item.size} announced"
            )
        self._spool.items.commit(file)
        log.info("item %s of %s stored: %d bytes", file.key, file.peer, job.item.size)


def _declared(frame: FrameBegin, count: int) -> list[int]:
    """About how long each share will be; of two the first is a sealed key."""
    size = frame.size or 0
    return [min(_SEED, size), size] if count == 2 else [size] * count


def _put_already(piece: bytes) -> None:
    """Shares go into their files by themselves."""


def matches(rule: Rule, frame: FrameBegin) -> bool:
    """Whether a rule is for a frame.

    A sensitive frame matches a rule that leaves the picture in view only where the rule says
    `sensitive: true` itself.
    """
    if rule.sensitive is not None and rule.sensitive is not frame.sensitive:
        return False
    if frame.sensitive and rule.sensitive is None and rule.scheme not in (SEALED, SHARES):
        return False
    labels_match = all(frame.labels.get(name) == value for name, value in rule.labels.items())
    return labels_match and fnmatchcase(frame.camera, rule.camera)
