"""File delivery in CPU time and memory, beside cfdp-py, and with packets and security around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from statistics import median

from bench.protected import protected
from bench.report import Figure, Result, Table
from bench.transfer import loses, ours
from bench.transfer_memory import measured

MB = 1_000_000
SEGMENT = 1024
LOSS = 0.05
SIZE, PEER_SIZE = 100 * MB, 8 * MB
"""cfdp-py passes a smaller one, for the time it takes; larger ones are no faster with it."""
REPEATS = 5
PACKET = 8192
RATIO_BOUND, MEMORY_BOUND, RATE_BOUND = 8.0, 8.0, 40.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Case:
    """One kind of transfer, several times."""

    what: str
    size: int
    segment: int
    loss: float
    seconds: list[float] = field(default_factory=list)
    """CPU seconds, user and system, of both ends."""

    @property
    def rate(self) -> float:
        """MB per CPU second, by the median."""
        return self.size / MB / median(self.seconds)

    def row(self) -> list[str]:
        return [
            self.what, f"{self.size / MB:.0f}", f"{self.segment}", f"{100 * self.loss:.0f}",
            f"{median(self.seconds):.2f}", f"{self.rate:.1f}",
        ]


def run(_: Path, say: Say) -> Result:
    """Measure everything; the folder of pictures is not needed."""
    result = Result("link")
    _cfdp(result, say)
    _memory(result, say)
    _protected(result, say)
    return result


def _cfdp(result: Result, say: Say) -> None:
    data = Random(1).randbytes(SIZE)
    main = Case("Occulta", SIZE, SEGMENT, LOSS)
    peers = [Case("cfdp-py, immediate NAKs", PEER_SIZE, SEGMENT, LOSS),
             Case("cfdp-py, NAKs behind EOF", PEER_SIZE, SEGMENT, LOSS)]
    theirs = _peer(result)
    for at in range(REPEATS):
        say(f"link, CFDP, {at + 1} of {REPEATS}")
        main.seconds.append(ours(data, SEGMENT, loses(LOSS)))
        if theirs is not None:
            for case, immediate in zip(peers, (True, False), strict=True):
                case.seconds.append(theirs(data[:PEER_SIZE], SEGMENT, loses(LOSS), immediate))
    cases = [main, *(case for case in peers if case.seconds), *_others(data, say)]
    head = ["implementation", "file, MB", "segment, octets", "loss, %", "CPU, s", "MB/CPU-s"]
    result.tables.append(Table("CFDP, Class 2, both ends together",
                               head, [case.row() for case in cases]))
    if theirs is not None:
        best = [max(rates) for rates in zip(*map(_rates, peers), strict=True)]
        ratio = median(own / peer for own, peer in zip(_rates(main), best, strict=True))
        result.figures.append(Figure("MB per CPU second over cfdp-py's", ratio, RATIO_BOUND, True,
                                     "x", 1))
    result.details["cfdp"] = [asdict(case) for case in cases]
    result.notes.append(
        "loss is of File Data PDUs, repeated ones too; source and file received are in memory on "
        "both sides; the files are compared outside the time"
    )


def _peer(result: Result) -> Callable[[bytes, int, Callable[[], bool], bool], float] | None:
    """cfdp-py's transfer, if it is installed."""
    try:
        result.machine["cfdp-py"] = f"cfdp-py {version('cfdp-py')}"
    except PackageNotFoundError:
        result.skipped.append("cfdp-py is not installed: python3 dev.py setup")
        return None
    from bench.cfdp_py import theirs

    return theirs


def _others(data: bytes, say: Say) -> list[Case]:
    """How our rate depends on loss and segment."""
    cases = [Case("Occulta", SIZE, segment, loss)
             for segment, loss in ((SEGMENT, 0.0), (SEGMENT, 0.2), (PACKET, 0.0), (PACKET, LOSS))]
    for case in cases:
        say(f"link, CFDP, segments of {case.segment}, loss {case.loss:.0%}")
        case.seconds = [ours(data, case.segment, loses(case.loss)) for _ in range(3)]
    return cases


def _rates(case: Case) -> list[float]:
    return [case.size / seconds for seconds in case.seconds]


def _memory(result: Result, say: Say) -> None:
    say("link, memory")
    traced, resident = measured(SIZE, SEGMENT, LOSS)
    name = f"{SIZE // MB} MB, {LOSS:.0%} loss, both ends"
    result.figures += [
        Figure(f"allocated at most, {name}", traced, MEMORY_BOUND, unit="MiB", digits=2),
        Figure(f"resident growth, {name}", resident, MEMORY_BOUND, unit="MiB", digits=2),
    ]
    result.notes.append(
        "memory: the file is generated where it is read and compared where it is written, so "
        "everything counted is the entities' own and the PDUs on the way (64 KiB at a time); "
        "growth is over a process that has passed a file of 2 MB"
    )


def _protected(result: Result, say: Say) -> None:
    data = Random(2).randbytes(SIZE)
    runs = []
    for at in range(REPEATS):
        say(f"link, protected packets, {at + 1} of {REPEATS}")
        runs.append(protected(data, PACKET))
    sending, receiving = (
        [SIZE / MB / seconds for seconds in each]
        for each in ([r.sending for r in runs], [r.receiving for r in runs])
    )
    for side, rates in (("sending", sending), ("receiving", receiving)):
        result.figures.append(Figure(
            f"{side} side: CFDP, packets of {PACKET} octets, AES-256-GCM", median(rates),
            RATE_BOUND, True, "MB/CPU-s", 1,
        ))
    result.details["protected"] = [asdict(one) for one in runs]
