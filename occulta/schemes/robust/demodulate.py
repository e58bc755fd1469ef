"""Soft bits of the slots: how likely each parity is, given what noise the picture shows.

The noise is estimated blindly. Of values that stood at multiples of D before noise of standard
deviation s was added, E[cos(2 pi y / D)] = exp(-2 pi^2 s^2 / D^2), whichever multiple it was.
numpy; ground only.
"""

from __future__ import annotations

import numpy as np

from occulta.schemes.robust.picture import Carriers, Flags, Floats
from occulta.schemes.robust.profiles import GROUP, Profile

_CLASSES = 16
_LEAST_IN_CLASS = 64
_STRONGEST = 12.0
_LEAST_LOCKED, _MOST_LOCKED = 0.003, 0.97
_LEAST_SHARE, _MOST_SHARE = 0.3, 0.98
_WIDTH = 0.05
"""Of the logistic in log(roughness / threshold) that says how likely a block was chosen."""
_SMOOTH = 0.5
_SMOOTHEST = _SMOOTH * float(np.exp(-8.0 * _WIDTH))
"""Where half of a row has no roughness at all, it was hardly chosen: marking makes rough."""
_UNCHOSEN = 0.7
"""Blocks below this share of the threshold were hardly chosen: they show what hosts look like."""
_BINS = 24
_FLAT = 0.5
_CHECKS = tuple(
    tuple(carrier for carrier in range(GROUP) if carrier + 1 >> bit & 1) for bit in range(3)
)


def soft_slots(profile: Profile, carriers: Carriers, gain: float = 1.0) -> Floats:
    """LLRs ln(P(0) / P(1)) of every slot, (down, across, slots), each within +-12.

    `gain`: what the coefficients are multiplied by first. Blocks that are not present have 0, and
    those amid flat ones, as of a border that was put around the picture.
    """
    present = carriers.present
    shape = (*present.shape, profile.slots)
    if not present.any():
        return np.zeros(shape)
    rough = carriers.rough[present]
    values = carriers.values[present][:, list(profile.carriers)] * gain
    folded = [_fold(values[:, at], step) for at, step in enumerate(profile.steps)]
    classes = _classes(rough)
    chosen = _chosen(profile, carriers)[present] if profile.halved else None
    odds = [
        _densities(values[:, at], folded[at], step, classes, chosen)
        for at, step in enumerate(profile.steps)
    ]
    llrs = _llrs(profile, odds, folded, chosen)
    found = np.zeros(shape)
    found[present] = _syndromes(llrs) if profile.grouped else llrs
    found[_amid_flat(carriers)] = 0.0
    return found


def coarse_means(profile: Profile, values: Floats) -> Floats:
    """The mean of each slot if no noise is estimated, cos(pi y / D): 1 for a bit 0, -1 for 1.

    `values`: (..., PLACES) as in Carriers; the result is (..., slots).
    """
    scale = (np.pi / np.array(profile.steps)).astype(np.float32)
    waves = np.cos(values[..., list(profile.carriers)].astype(np.float32) * scale)
    if not profile.grouped:
        return np.asarray(waves, dtype=np.float64)
    starts = range(0, waves.shape[-1], GROUP)
    products = [
        np.prod(waves[..., [start + carrier for carrier in check]], axis=-1)
        for start in starts for check in _CHECKS
    ]
    return np.stack(products, axis=-1).astype(np.float64)


def _amid_flat(carriers: Carriers) -> Flags:
    """Blocks that are flat as all their neighbours are: where all carry, hardly any are."""
    flat = np.pad((np.abs(carriers.values[..., 1:]) < _FLAT).all(axis=-1), 1, constant_values=True)
    down, across = carriers.present.shape
    around = [flat[y : y + down, x : x + across] for y in range(3) for x in range(3)]
    return np.asarray(np.logical_and.reduce(around))


def _fold(values: Floats, step: int) -> Floats:
    """The distance from the nearest even cell's centre in cells: 0 even, 1 odd."""
    return np.asarray(np.abs((values / step + 1.0) % 2.0 - 1.0))


def _classes(rough: Floats) -> np.ndarray:
    """The class of roughness of each block, equally many in each."""
    count = int(np.clip(len(rough) // _LEAST_IN_CLASS, 1, _CLASSES))
    return np.argsort(np.argsort(rough, kind="stable"), kind="stable") * count // len(rough)


def _chosen(profile: Profile, carriers: Carriers) -> Floats:
    """How likely each block belongs to the rougher half of its row."""
    found = np.zeros(carriers.rough.shape)
    for at, (rough, present) in enumerate(zip(carriers.rough, carriers.present, strict=True)):
        if present.any():
            threshold = max(_SMOOTH, float(np.median(rough[present])))
            ratio = np.log(np.maximum(rough, _SMOOTHEST) / threshold) / _WIDTH
            found[at] = 1.0 / (1.0 + np.exp(-np.clip(ratio, -40.0, 40.0)))
    return found


def _densities(
    values: Floats, folded: Floats, step: int, classes: np.ndarray, chosen: Floats | None
) -> tuple[Floats, Floats]:
    """Densities of what was received over [0, 1], had the bit been 0 and had it been 1."""
    even, odd = np.ones(len(values)), np.ones(len(values))
    waves = [np.cos(2.0 * np.pi * n * values / step) for n in (1, 2)]
    for each in range(int(classes.max()) + 1):
        members = classes == each
        weight = np.ones(int(members.sum())) if chosen is None else chosen[members]
        if weight.sum() < 1.0:
            continue
        moments = [float((wave[members] * weight).sum() / weight.sum()) for wave in waves]
        share, sigma = _noise(moments[0], moments[1], float(weight.sum()))
        even[members] = share * _wrapped(folded[members], sigma) + 1.0 - share
        odd[members] = share * _wrapped(1.0 - folded[members], sigma) + 1.0 - share
    return even, odd


def _noise(first: float, second: float, count: float) -> tuple[float, float]:
    """A share of values with normal noise, and its deviation in cells; the rest is lost.

    By the means of cos(2 pi y / D) and cos(4 pi y / D): share * q and share * q^4.
    """
    locked = min(max(first, _LEAST_LOCKED), _MOST_LOCKED)
    share = _MOST_SHARE
    if second > 2.0 / np.sqrt(count) and second < locked:
        share = min(max(locked / (second / locked) ** (1.0 / 3.0), _LEAST_SHARE), _MOST_SHARE)
    q = min(max(locked / share, _LEAST_LOCKED), _MOST_LOCKED)
    return share, float(np.sqrt(-np.log(q) / (2.0 * np.pi**2)))


def _wrapped(distance: Floats, sigma: float) -> Floats:
    """The normal density around a centre and its images two cells away, folded."""
    scale = 2.0 / (sigma * np.sqrt(2.0 * np.pi))
    parts = [np.exp(-((distance + 2.0 * n) ** 2) / (2.0 * sigma**2)) for n in (-1, 0, 1)]
    return np.asarray(scale * sum(parts) + 1e-9)


def _llrs(
    profile: Profile, odds: list[tuple[Floats, Floats]], folded: list[Floats],
    chosen: Floats | None,
) -> Floats:
    """LLRs of the parities; where a block was perhaps not chosen, as likely as that is."""
    if chosen is None:
        pairs = [np.log(even / odd) for even, odd in odds]
        return np.asarray(np.clip(np.stack(pairs, axis=-1), -_STRONGEST, _STRONGEST))
    hosts = [_host_density(each, chosen) for each in folded]
    evidence = sum(
        np.clip(np.log((even + odd) / (2.0 * host)), -2.0, 2.0)
        for (even, odd), host in zip(odds, hosts, strict=True)
    )
    prior = np.log(np.clip(chosen, 1e-9, 1.0) / np.clip(1.0 - chosen, 1e-9, 1.0))
    belief = 1.0 / (1.0 + np.exp(-np.clip(prior + np.clip(evidence, -6.0, 6.0), -40.0, 40.0)))
    pairs = [
        np.log((belief * even + (1.0 - belief) * host) / (belief * odd + (1.0 - belief) * host))
        for (even, odd), host in zip(odds, hosts, strict=True)
    ]
    return np.asarray(np.clip(np.stack(pairs, axis=-1), -_STRONGEST, _STRONGEST))


def _host_density(folded: Floats, chosen: Floats) -> Floats:
    """How blocks that carry nothing lie in the cells, from those that surely carry nothing."""
    logit = np.log(1.0 / _UNCHOSEN) / _WIDTH
    hosts = folded[chosen < 1.0 / (1.0 + np.exp(logit))]
    counts = np.histogram(hosts, bins=_BINS, range=(0.0, 1.0))[0] + 1.0 + len(hosts) / 200.0
    density = counts / counts.sum() * _BINS
    return np.asarray(density[np.minimum((folded * _BINS).astype(np.int64), _BINS - 1)])


def _syndromes(parities: Floats) -> Floats:
    """LLRs of the exclusive or of four parities each."""
    tangents = np.tanh(parities / 2.0)
    found = []
    for start in range(0, parities.shape[-1], GROUP):
        for check in _CHECKS:
            product = np.prod(tangents[:, [start + carrier for carrier in check]], axis=-1)
            found.append(2.0 * np.arctanh(np.clip(product, -0.99999, 0.99999)))
    return np.stack(found, axis=-1)
