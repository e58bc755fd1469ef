"""Command lines: parsing, one line of error and one of hint, exit statuses, progress."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from occulta import __version__
from occulta.errors import OccultaError, Reason

_PROGRESS_STEP = 1 << 22


class _UsageError(Exception):
    pass


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are numbered like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process."""
        raise _UsageError(f"{self.prog}: {message}")


def make_parser(program: str, description: str) -> Parser:
    """The top parser of a program."""
    parser = Parser(prog=program, description=description)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser


def run(parser: Parser, arguments: Sequence[str] | None) -> int:
    """Parse, run the chosen command (`handler`), return the exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    wants_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        options = parser.parse_args(arguments)
        handler: Callable[[argparse.Namespace], int] = options.handler
        return handler(options)
    except _UsageError as error:
        return report_error(OccultaError(Reason.USAGE, str(error)), wants_json)
    except OccultaError as error:
        return report_error(error, wants_json)
    except MemoryError:
        return report_error(OccultaError(Reason.OUT_OF_MEMORY, "out of memory"), wants_json)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of the clean-up that takes temporary files away."""
    raise SystemExit(128 + number)


def report_error(error: OccultaError, as_json: bool = False) -> int:
    """Print what is wrong and the hint; return the exit status."""
    print(f"{error}\nhint: {error.hint}", file=sys.stderr)
    if as_json:
        said = {"error": int(error.reason), "detail": error.detail, "hint": error.hint}
        print(json.dumps(said))
    return int(error.reason.exit_code)


class Progress:
    """Percent done on standard error, when that is a terminal and the size is known."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total if total and sys.stderr.isatty() else None
        self._done = 0
        self._shown = 0

    def add(self, size: int) -> None:
        """So many bytes more."""
        self._done += size
        if self._total and self._done - self._shown >= _PROGRESS_STEP:
            self._shown = self._done
            percent = min(100, 100 * self._done // self._total)
            print(f"\r{self._what} {percent:3d} %", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Clear the line."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
