"""Command lines: parsing, one line of error and one of hint, exit statuses, progress."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from occulta import __version__
from occulta.errors import OccultaError, Reason
from occulta.program.files import write_failure

_PROGRESS_STEP = 1 << 22


class _UsageError(Exception):
    pass


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are numbered like all others, and no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

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
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    wants_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parse(parser, arguments)
        if options is None:
            return 0
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
        return 128 + signal.SIGINT


def _parse(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace | None:
    """The options; None where --help or --version was all that was asked."""
    try:
        return parser.parse_args(arguments)
    except SystemExit:
        say("")
        return None


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of the clean-up that takes temporary files away."""
    raise SystemExit(128 + number)


def say(text: str) -> None:
    """Print a result; raises OccultaError when standard output cannot take it."""
    if sys.stdout is None:
        raise OccultaError(Reason.OUTPUT_UNWRITABLE, "standard output is closed")
    try:
        sys.stdout.write(_printable(text) + "\n" if text else "")
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError):  # else the interpreter tries again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise write_failure(error, "standard output") from None


def _printable(text: str) -> str:
    """Names may hold anything: one line, no control characters, only what can be encoded."""
    shown = "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
    return shown.encode("utf-8", "backslashreplace").decode()


def report_error(error: OccultaError, as_json: bool = False) -> int:
    """Print what is wrong and the hint; return the exit status."""
    if error.reason is Reason.CONFIG_INVALID:  # a line for each fault
        detail = "\n".join(_printable(line) for line in str(error).split("\n"))
    else:
        detail = _printable(str(error).replace("\n", "\\n"))
    with suppress(OSError, AttributeError):  # nobody listens; the exit status still says it
        print(f"{detail}\nhint: {error.hint}", file=sys.stderr)
    if as_json:
        said = {"error": int(error.reason), "detail": error.detail, "hint": error.hint}
        with suppress(OccultaError):
            say(json.dumps(said))
    return int(error.reason.exit_code)


@contextmanager
def waiting(what: str, quiet: bool = False) -> Iterator[None]:
    """Say on standard error what takes time, while it does, when that is a terminal."""
    is_shown = not quiet and _has_terminal()
    if is_shown:
        print(what, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if is_shown:
            _clear_line()


def _has_terminal() -> bool:
    return bool(sys.stderr and sys.stderr.isatty())


def _clear_line() -> None:
    print("\r\033[K", end="", file=sys.stderr, flush=True)


class Progress:
    """Percent done on standard error, when that is a terminal and the size is known."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total if total and _has_terminal() else None
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
            _clear_line()
