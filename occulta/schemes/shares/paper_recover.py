"""Recovery of the `paper` profile (papers/003, section 3.2): restore, verify; damage is located by
paper_locate.py.

The sealed digests say whether the original is back and which share image was altered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import or_

from occulta.codec import chaos
from occulta.errors import OccultaError, Reason
from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_list import Carried, is_listed
from occulta.schemes.shares.paper_locate import Damage, Plane, compare, locate
from occulta.schemes.shares.paper_parameters import Parameters, digest_of
from occulta.schemes.shares.paper_watermark import possible_values, separate
from occulta.schemes.shares.raster import Box, Raster, blocks_of, merged

_HIGH_VALUES = range(0, 256, 16)
_LOW_VALUES = range(16)
GREY = 128


@dataclass(frozen=True, slots=True)
class Recovered:
    """The restored image; the original only where `damage` is None or says `restored`.

    `blocks`: those of the regions. `strangers`: names of shares that may be another image's: most
    of their pixels cannot be of this one, and no block is right.
    """

    raster: Raster
    blocks: tuple[Box, ...]
    damage: Damage | None
    strangers: tuple[str, ...] = ()

    def verified(self) -> Raster:
        """What is proved right of the image, the rest in grey.

        That is all of it where the digest matches, otherwise blocks of the regions alone: pixels
        outside have no hash of their own.
        """
        if self.damage is None or self.damage.restored:
            return self.raster
        return self.raster.kept(self.right, GREY)

    @property
    def right(self) -> list[Box]:
        """The blocks that are proved right."""
        damage = self.damage
        unproved = set() if damage is None else {*damage.blocks, *damage.unverified}
        return [box for box in self.blocks if box not in unproved]


def recover(shares: paper.Shares, parameters: Parameters, kernel: str | None = None) -> Recovered:
    """Restore and verify. Raises OccultaError:

    SHARE_SIZE, SHARE_TWICE, SHARES_MIXED (one in the other's place), SHARES_OF_DIFFERENT_SETS (or
    overwritten until nothing of the image can be told), DIGEST_MISMATCH and BAD_PARAMETERS
    (parameters that belong to the shares and contradict themselves).
    """
    _check_sizes(shares, parameters)
    digests = digest_of(shares.a), digest_of(shares.b)
    _check_places(digests, parameters)
    altered = digests[0] != parameters.share_digests[0], digests[1] != parameters.share_digests[1]
    blocks = tuple(blocks_of(parameters.regions))
    planes, strangers = _restore(shares, parameters, len(blocks), altered, kernel)
    raster = _join(planes, parameters)
    is_original = digest_of(raster) == parameters.digest
    if not any(altered):
        if not is_original:
            raise OccultaError(Reason.DIGEST_MISMATCH, "the restored image is not the original")
        return Recovered(raster, blocks, None)
    if is_original:
        return Recovered(raster, blocks, compare(shares, raster, parameters, altered, kernel))
    damage = locate(planes, raster, parameters, altered)
    found = Recovered(raster, blocks, damage)
    if not strangers or found.right:
        return found
    _refuse_strangers(strangers, planes, parameters, len(blocks))
    return replace(found, strangers=strangers)


def _check_sizes(shares: paper.Shares, parameters: Parameters) -> None:
    expected = parameters.width, parameters.height
    for name, share in zip("ab", shares, strict=True):
        if (share.width, share.height) != expected:
            raise OccultaError(
                Reason.SHARE_SIZE, f"share {name} has {share.width} x {share.height} pixels, "
                f"the image {expected[0]} x {expected[1]}",
            )


def _check_places(digests: tuple[bytes, bytes], parameters: Parameters) -> None:
    a, b = digests
    if a == b:
        raise OccultaError(Reason.SHARE_TWICE, "the same share was given twice")
    if a == parameters.share_digests[1] or b == parameters.share_digests[0]:
        raise OccultaError(
            Reason.SHARES_MIXED, "the shares stand in each other's place", "give share a first"
        )


def _restore(
    shares: paper.Shares, parameters: Parameters, blocks: int, altered: tuple[bool, bool],
    kernel: str | None,
) -> tuple[tuple[Plane, Plane], tuple[str, ...]]:
    """Section 3.2, steps 2 and 3; also the strangers."""
    size = 8 * (paper.HASH_SIZE * blocks + paper.CHECK_SIZE)
    found, strangers = [], []
    for index, values in enumerate((_HIGH_VALUES, _LOW_VALUES)):
        share, rounds = shares[index].pixels, parameters.rounds[index]
        _check_length(sum(each.carriers for each in rounds), size, len(share))
        matrices = chaos.key_matrices(parameters.keys[index], len(share), kernel=kernel)
        marked = chaos.gather(share, *matrices, kernel)
        if altered[index] and _is_noise(marked, possible_values(values, rounds)):
            strangers.append(f"share {'ab'[index]}")
        pixels, parts = separate(marked, rounds)
        impossible = bytes(value not in values for value in range(256))
        marks = pixels.translate(impossible) if altered[index] else b""
        found.append(Plane(pixels, Carried(rounds, parts), marks))
    return (found[0], found[1]), tuple(strangers)


def _check_length(carriers: int, size: int, pixels: int) -> None:
    """The rounds end with the one that takes the last bit."""
    if not size <= carriers < size + pixels:
        raise OccultaError(
            Reason.BAD_PARAMETERS, "the sealed parameters tell of another length of watermark"
        )


def _is_noise(marked: bytes, possible: set[int]) -> bool:
    """A share of another image, or a wrong key's, has few values that a plane can have."""
    likely = len(marked.translate(None, bytes(set(range(256)) - possible)))
    return 2 * likely < len(marked)


def _refuse_strangers(
    strangers: tuple[str, ...], planes: tuple[Plane, Plane], parameters: Parameters, blocks: int
) -> None:
    """Where no hash list says that any of this is of the image."""
    if not any(is_listed(plane.carried, blocks, parameters.check_key) for plane in planes):
        raise OccultaError(
            Reason.SHARES_OF_DIFFERENT_SETS,
            f"{' and '.join(strangers)} {'do' if len(strangers) > 1 else 'does'} not belong to "
            "these parameters, or most of it was altered",
            "give both share images and the parameters of one run of protect; fetch them again",
        )


def _join(planes: tuple[Plane, Plane], parameters: Parameters) -> Raster:
    """Section 3.2, steps 3 and 4: the sum of the planes, then the inverse S-box."""
    high, low = planes[0].pixels.translate(paper.HIGH), planes[1].pixels.translate(paper.LOW)
    summed = Raster(parameters.width, parameters.height, merged(high, low, or_))
    return summed.mapped(parameters.regions, paper.RESTORE)
