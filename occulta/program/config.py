"""Configuration files: YAML into typed structures, all faults at once, each with its place.

The YAML (1.1) is plain: mappings, lists, strings, numbers, true, false and null. Anchors, aliases,
tags, merge keys and a key given twice are refused, and nothing is taken from the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from msgspec import Struct

from occulta.errors import OccultaError, Reason
from occulta.program.typed import Fault, Faults, Reader, key_place

T = TypeVar("T", bound=Struct)
R = TypeVar("R")
MAX_SIZE = 1 << 20
"""Bytes of a configuration file."""
MAX_FAULTS = 100
"""Faults listed; of more only the number is told."""
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


def load(path: str | Path, kind: type[T]) -> T:
    """Read a file of at most `MAX_SIZE` bytes; paths in it are relative to its folder.

    Raises OccultaError(CONFIG_INVALID), whose detail is a line about the file and then one line
    for each fault.
    """
    return _read(path, lambda content: parse(content, kind, Path(path).parent))


def load_option(path: str | Path, name: str, kind: Any) -> Any:
    """One option of a file, of type `kind`, by itself; None where it is not given.

    Nothing else is looked at, which takes less than a program's whole structure does. Raises
    OccultaError as of `load`.
    """
    return _read(path, lambda content: _parse_option(content, name, kind, Path(path).parent))


def _read(path: str | Path, use: Callable[[bytes], R]) -> R:
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_SIZE + 1)
        return use(content)
    except OSError as error:
        raise _invalid(path, [Fault("", f"it cannot be read: {error.strerror}")]) from None
    except Faults as error:
        raise _invalid(path, error.found) from None


def parse(content: bytes, kind: type[T], folder: Path) -> T:
    """The structure in a file's content, its paths below `folder`; raises Faults."""
    document, found = load_yaml(content)
    reader = Reader(folder, found)
    structure: T = reader.read(kind, document, "")
    if reader.faults:
        raise Faults(reader.faults)
    return structure


def _parse_option(content: bytes, name: str, kind: Any, folder: Path) -> Any:
    document, found = load_yaml(content)
    if not isinstance(document, dict):
        raise Faults([*found, Fault("", "expected a mapping")])
    reader = Reader(folder, found)
    value = reader.read(kind | None, document.get(name), name)
    if reader.faults:
        raise Faults(reader.faults)
    return value


def _invalid(path: str | Path, found: Sequence[Fault]) -> OccultaError:
    name = str(path).replace("\n", "\\n")
    lines = [f"the configuration {name} cannot be used", *map(str, found[:MAX_FAULTS])]
    if len(found) > MAX_FAULTS:
        lines.append(f"and {len(found) - MAX_FAULTS} more")
    return OccultaError(Reason.CONFIG_INVALID, "\n".join(lines))


class _Loader(yaml.SafeLoader):
    """Plain YAML only, with dates as strings."""

    yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.faults: list[Fault] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor or getattr(event, "tag", None):  # an alias has an anchor too
            raise yaml.MarkedYAMLError(
                problem="anchors, aliases and tags are not supported",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave merge keys where they are: without a constructor they are refused."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            text, line = str(key.value), key.start_mark.line + 1
            if text in lines:
                what = f"given twice, first in line {lines[text]}"
                self.faults.append(Fault(f"line {line}: {key_place(text)}", what))
            lines.setdefault(text, line)
        return super().construct_mapping(node, deep)


def load_yaml(content: bytes) -> tuple[object, list[Fault]]:
    """What a file says, as mappings, lists and scalars, and the keys given twice.

    Raises Faults for what is not plain YAML. Places begin with `line N`.
    """
    if len(content) > MAX_SIZE:
        raise Faults([Fault("", f"it is longer than {MAX_SIZE} bytes")])
    try:
        loader = _Loader(content.decode())
        return loader.get_single_data(), loader.faults
    except UnicodeDecodeError as error:
        raise Faults([Fault("", f"byte {error.start} is not UTF-8")]) from None
    except RecursionError:
        raise Faults([Fault("", "it is nested too deeply")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise Faults([_syntax_fault(error)]) from None


def _syntax_fault(error: Exception) -> Fault:
    """The message alone: PyYAML's full text quotes the file."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        text = ", ".join(filter(None, (error.context, error.problem)))
        return Fault(f"line {mark.line + 1}" if mark else "", text)
    if isinstance(error, yaml.reader.ReaderError):
        return Fault("", f"{error.reason} (character {error.position})")
    return Fault("", str(error))
