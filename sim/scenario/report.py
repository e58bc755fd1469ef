"""The report of a scenario: one HTML file that needs nothing else, pictures included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ground.product import SEALED, SHARES
from sim import page, pixels
from sim.page import GAIN
from sim.pixels import Pixels
from sim.scenario.check import Arrival
from sim.scenario.results import HEADINGS, LINK_HEADINGS, PROGRAM_HEADINGS, Result
from sim.scenario.timeline import timeline

SHOWN = 3
"""Frames whose pictures are shown."""
_WIDTH = 720
_FRAMES_NOTE = (
    "Growth is in bytes of the whole file, hidden are bytes of private data. Restored pictures and "
    "private files were compared byte by byte with the originals. A frame's times count from the "
    "first program's start: when it was durable on board, and when its recovery on the ground was "
    "seen to have ended."
)
_LINK_NOTE = (
    "Packets as the simulated link counted them. What was lost, corrupted, truncated or dropped "
    "was asked for again, and sent again."
)
_PROGRAMS_NOTE = (
    "CPU time is user and system. Peak memory is resident, of the program and of its recovery "
    "worker."
)
_NOT_DECODED = "Pillow does not decode this picture, so it is not shown; it was compared like all."


def render(result: Result) -> str:
    """The whole report as HTML."""
    return page.document(f"Occulta: {result.scenario}", [
        _headline(result),
        *([page.section("Faults", page.listing(result.faults))] if result.faults else []),
        _section("Frames", HEADINGS, result.frame_rows(), _FRAMES_NOTE),
        _link(result),
        *_pictures(result.arrivals),
        _section("Programs", PROGRAM_HEADINGS, result.program_rows(), _PROGRAMS_NOTE),
        page.section("Commands", page.listing(result.commands)),
    ])


def _headline(result: Result) -> str:
    verdict = f"{result.restored} of {len(result.arrivals)} frames restored bit for bit"
    private = sum(arrival.is_private_same for arrival in result.arrivals)
    nodes = "a ground node" if not result.others else f"{1 + len(result.others)} ground nodes"
    text = (
        f"A satellite's daemon, {nodes} and a faulty link between them ran for "
        f"{result.seconds:.0f} seconds as programs of their own. {private} private files came down "
        f"hidden in the frames, sealed for one recipient."
    )
    return page.headline(f"Occulta scenario: {result.scenario}", verdict, not result.faults, text)


def _section(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], note: str) -> str:
    marked = [page.row(headings, cells) for cells in rows]
    return page.section(title, page.table(headings, marked, note))


def _link(result: Result) -> str:
    if not result.link:
        return page.section("Link", page.paragraph("The pass never began."))
    marks = [
        (at - result.pass_began, str(number))
        for number, arrival in enumerate(result.arrivals, 1)
        if (at := result.recovered.get(arrival.frame.name)) is not None
    ]
    drawn = timeline(result.link["down"]["timeline"], result.outages, marks)
    legend = (
        "Down, second by second of the pass: bytes that arrived (green), bytes that were lost "
        "(red), outages (shaded). A number stands where that frame was recovered."
    )
    rows = [page.row(LINK_HEADINGS, cells) for cells in result.link_rows()]
    more = "" if result.overhead is None else (
        f" In all {result.overhead:.0%} more bytes were sent down than the products have: headers, "
        "telemetry and what was sent again."
    )
    table = page.table(LINK_HEADINGS, rows, _LINK_NOTE + more)
    return page.section("Link", page.paragraph(legend), drawn, table)


def _pictures(arrivals: Sequence[Arrival]) -> list[str]:
    """Of a few frames: what was taken, what came down, what was restored, and the differences."""
    found = [arrival for arrival in arrivals if arrival.restored and arrival.restored.is_file()]
    hidden = [arrival for arrival in found if arrival.hidden][: SHOWN - 1]
    others = [arrival for arrival in found if arrival not in hidden]
    shown = sorted([*hidden, *others][:SHOWN], key=found.index)
    return [_frame(arrival) for arrival in shown]


def _frame(arrival: Arrival) -> str:
    name = arrival.frame.name
    taken = pixels.decoded(arrival.frame.picture)
    if taken is None:
        return page.section(name, page.paragraph(_NOT_DECODED))
    figures = [page.figure("Taken", pixels.shrunk(taken, _WIDTH))]
    differences = []
    for word, path in (("Received", arrival.received), ("Restored", arrival.restored)):
        seen = None if path is None else pixels.decoded(path)
        if seen is not None and seen.shape == taken.shape:
            figures.append(page.figure(word, pixels.shrunk(seen, _WIDTH)))
            differences.append(page.difference_figure(word, _changed(taken, seen)))
    return page.section(name, page.paragraph(_story(arrival)), page.gallery(figures + differences))


def _story(arrival: Arrival) -> str:
    told = f"Differences from the frame taken are amplified {GAIN} times."
    if arrival.hidden:
        return f"{arrival.hidden:,} private bytes rode in it. {told}"
    if arrival.product is not None and arrival.product.scheme == SEALED:
        return f"What came down is sealed: without the key it is no picture at all. {told}"
    if arrival.product is not None and arrival.product.scheme == SHARES:
        return f"What came down are shares, one for each node, which tell nothing alone. {told}"
    return told


def _changed(one: Pixels, other: Pixels) -> Pixels:
    return pixels.difference(one, other, GAIN)
