"""Numbers for Prometheus: its text format, version 0.0.4, and what the parts of the node count."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from ground.archive import Archive
from ground.httpserver import HttpServer, Page
from ground.worker import Worker

PREFIX = "occulta_ground_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass
class Family:
    """Numbers of one name, without the prefix; a counter's ends in `_total`, and never falls."""

    name: str
    help: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"not a metric's name: {self.name!r}")

    def add(self, value: float, /, **labels: str) -> Family:
        """One number more, told from the others by its labels."""
        self.samples.append((labels, value))
        return self


def from_counts(name: str, text: str, label: str, counts: Mapping[str, float]) -> Family:
    """A family of one label, from a `Counter` for instance."""
    family = Family(name, text)
    for key, value in counts.items():
        family.add(value, **{label: key})
    return family


def render(families: Iterable[Family]) -> bytes:
    """All families in the text format."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterable[str]:
    name = PREFIX + family.name
    kind = "counter" if name.endswith("_total") else "gauge"
    yield f"# HELP {name} {family.help.translate(_ESCAPES)}\n# TYPE {name} {kind}\n"
    for labels, value in family.samples:
        pairs = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        yield f"{name}{{{pairs}}} {value!r}\n" if pairs else f"{name} {value!r}\n"


def _escape(text: str) -> str:
    return text.translate(_LABEL_ESCAPES).encode("utf-8", "backslashreplace").decode()


class MetricsServer(HttpServer):
    """`/metrics`, and `/health`: status 200, or 503 and what is wrong."""

    def __init__(
        self, host: str, port: int, families: Callable[[], Iterable[Family]],
        trouble: Callable[[], str | None],
    ) -> None:
        """What is asked for each page; see HttpServer for host and port."""
        super().__init__(host, port, {
            "/metrics": lambda: Page(HTTPStatus.OK, CONTENT_TYPE, render(families())),
            "/health": lambda: _health(trouble()),
        })


def _health(trouble: str | None) -> Page:
    status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
    return Page(status, "text/plain; charset=utf-8", f"{trouble or 'ok'}\n".encode())


def of_archive(archive: Archive) -> list[Family]:
    """Products by state, and what became of what was delivered."""
    counts = archive.counts().items()
    return [
        from_counts("products", "Products in the archive.", "state",
                    {state.value: number for state, (number, _) in counts}),
        from_counts("product_bytes", "Bytes of received data in the archive.", "state",
                    {state.value: size for state, (_, size) in counts}),
        from_counts("offers_total", "Deliveries, by what became of them.", "outcome",
                    archive.counters),
        from_counts("rejections_total", "Deliveries that were rejected, by reason.", "reason",
                    archive.rejections),
    ]


def of_worker(worker: Worker) -> list[Family]:
    """How recoveries ended."""
    text = "Recoveries, by how they ended; lost: the worker died or hung."
    return [
        from_counts("recoveries_total", text, "outcome", worker.counters),
        Family("recovering", "Recoveries at work.").add(int(worker.is_busy)),
    ]
