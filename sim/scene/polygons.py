"""Convex polygons and their recursive division: how land is parcelled out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.scene.frame import Points


def area(polygon: Points) -> float:
    """Area in square metres (shoelace formula)."""
    x, y = polygon[:, 0], polygon[:, 1]
    open_sum = x[:-1] @ y[1:] - y[:-1] @ x[1:]
    return abs(float(open_sum + x[-1] * y[0] - y[-1] * x[0])) / 2.0


def rectangle(centre: Points, width: float, height: float, angle: float) -> Points:
    """Four corners of a rectangle turned by `angle` radians; `centre` has shape (2,)."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array([width, height]) / 2.0
    turned: Points = corners @ rotation(angle).T + centre
    return turned


def rotation(angle: float) -> Points:
    """The 2 x 2 matrix turning by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def shrunk(polygon: Points, margin: float) -> Points:
    """`polygon` pulled towards its middle by about `margin` metres on each side."""
    middle = polygon.mean(axis=0)
    scale = max(0.05, 1.0 - 2.0 * margin / max(1.0, area(polygon) ** 0.5))
    smaller: Points = middle + (polygon - middle) * scale
    return smaller


def rolled(polygon: Points) -> Points:
    """Each point's successor around the polygon (numpy's general roll is ten times slower)."""
    return np.concatenate((polygon[1:], polygon[:1]))


def bearing(polygon: Points) -> float:
    """Direction of the longest edge, radians."""
    edges = rolled(polygon) - polygon
    longest = edges[int(np.argmax(np.einsum("ij,ij->i", edges, edges)))]
    return float(np.arctan2(longest[1], longest[0]))


def cut(polygon: Points, point: Points, angle: float) -> tuple[Points, Points, Points]:
    """Both sides of `polygon` cut by the line through `point` at `angle`, and the cut itself.

    Either side may come out empty when the line misses the polygon.
    """
    normal = np.array([-np.sin(angle), np.cos(angle)])
    side = (polygon - point) @ normal
    left: list[Points] = []
    right: list[Points] = []
    seam: list[Points] = []
    for i, here in enumerate(polygon):
        j = (i + 1) % len(polygon)
        (left if side[i] >= 0 else right).append(here)
        if (side[i] >= 0) != (side[j] >= 0):
            crossing = here + (polygon[j] - here) * (side[i] / (side[i] - side[j]))
            for points in (left, right, seam):
                points.append(crossing)
    return np.array(left), np.array(right), np.array(seam)


def divide(
    rng: np.random.Generator, polygon: Points, target: float, jitter: float, depth: int = 0
) -> Iterator[tuple[int, Points, bool]]:
    """Divide until pieces are near `target` square metres.

    Yields (depth, cut line, False) for every cut and (depth, piece, True) for every piece.
    Cuts run mostly across the longest edge, `jitter` radians off it near the top and less
    further down, so neighbours share a direction, as surveyed land does.
    """
    if area(polygon) < target * rng.uniform(0.7, 2.2):
        yield depth, polygon, True
        return
    across = np.pi / 2.0 if rng.random() < 0.88 else 0.0
    angle = bearing(polygon) + across + rng.normal(0.0, jitter / (1.0 + depth))
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    point = polygon.mean(axis=0) + rng.uniform(-0.12, 0.12, 2) * (high - low)
    left, right, seam = cut(polygon, point, angle)
    if len(left) < 3 or len(right) < 3:
        yield depth, polygon, True
        return
    yield depth, seam, False
    yield from divide(rng, left, target, jitter, depth + 1)
    yield from divide(rng, right, target, jitter, depth + 1)


def densified(line: Points, step: float, closed: bool) -> Points:
    """`line` with extra points so that no leg is longer than `step` metres."""
    ends = rolled(line) if closed else line[1:]
    legs = []
    for start, end in zip(line, ends, strict=False):
        count = max(1, int(np.hypot(*(end - start)) / step))
        legs.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.concatenate(legs if closed else [*legs, line[-1:]])
