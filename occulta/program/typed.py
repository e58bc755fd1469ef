"""Plain values, as a file gives them, into typed structures: every fault is found, with its place.

A field's type is a scalar that `msgspec.convert` takes, `Path`, a `Section` or other
`msgspec.Struct`, or a class with a class method `from_config(value, folder)` that raises ValueError
and an attribute `expected` that says what it takes. Tuples, `dict[X, Y]`, and unions with None, or
of one list and one scalar, may stand around these. Types are not coerced: an integer stands for a
float, nothing else for anything else.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

_MAX_SHOWN = 60
_WORDS: dict[object, str] = {
    str: "string", float: "number", bool: "true or false", NoneType: "null", Path: "path",
}
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")


class Fault(NamedTuple):
    """What is wrong at a place such as `destinations[1].entity`; empty for the whole."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class Faults(ValueError):
    """Everything that is wrong, in the order of the structure's fields."""

    def __init__(self, found: Iterable[Fault]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(map(str, self.found)))


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a configuration; making one raises Faults where its fields contradict each other.

    Fields are compared only once each is right by itself.
    """

    def faults(self) -> Iterator[Fault]:
        """What contradicts what, with places inside this section."""
        return iter(())

    def __post_init__(self) -> None:
        if found := tuple(self.faults()):
            raise Faults(found)


def describe(kind: Any) -> str:
    """In words, what a value of a field's type must be: `int 0..4095`."""
    arguments = get_args(kind)
    origin = get_origin(kind)
    if origin is Annotated:
        bare, *metas = arguments
        told = [meta.description for meta in metas if meta.description]
        return told[-1] if told else describe(bare) + "".join(map(_range, metas))
    if origin is Literal:
        return " or ".join(map(_shown, arguments))
    if _is_union(origin):
        return " or ".join(map(describe, arguments))
    if origin is tuple:
        return "list"
    if origin is dict or _is_struct(kind):
        return "mapping"
    return str(getattr(kind, "expected", None) or _WORDS.get(kind, kind.__name__))


class Reader:
    """Reads values and notes their faults. What is read counts only if there are none."""

    def __init__(self, folder: Path, faults: list[Fault]) -> None:
        self.faults = faults
        self._folder = folder

    def read(self, kind: Any, value: object, place: str, expected: str = "") -> Any:
        """The value as `kind`; `expected` says more than `describe(kind)` where that is known."""
        bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        origin = get_origin(bare)
        expected = expected or describe(kind)
        if _is_union(origin):
            return self._read_union(get_args(bare), value, place, expected)
        if _is_struct(bare):
            return self._read_struct(bare, value, place, expected)
        if origin is tuple:
            return self._read_list(kind, get_args(bare), value, place, expected)
        if origin is dict:
            return self._read_dict(kind, get_args(bare), value, place, expected)
        return self._read_scalar(kind, value, place, expected)

    def _refuse(self, place: str, expected: str, value: object) -> Any:
        self.faults.append(Fault(place, f"expected {expected}, got {_shown(value)}"))
        return None

    def _read_union(
        self, kinds: tuple[Any, ...], value: object, place: str, expected: str
    ) -> Any:
        if value is None and NoneType in kinds:
            return None
        is_list = isinstance(value, list)
        for kind in kinds:
            if kind is not NoneType and _is_list(kind) == is_list:
                return self.read(kind, value, place, expected)
        return self._refuse(place, expected, value)

    def _read_struct(
        self, kind: type[Struct], value: object, place: str, expected: str
    ) -> Any:
        if not isinstance(value, dict):
            return self._refuse(place, expected, value)
        before = len(self.faults)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for key in value:
            if key not in fields:
                text = "unknown" + _guess(key, fields)
                self.faults.append(Fault(_join(place, key_place(key)), text))
        found = {}
        for name, field in fields.items():
            if name in value:
                found[name] = self.read(field.type, value[name], _join(place, name))
            elif field.required:
                self.faults.append(Fault(_join(place, name), "missing"))
        if len(self.faults) > before:
            return None
        try:
            return kind(**found)
        except Faults as error:
            self.faults += [Fault(_join(place, inner), text) for inner, text in error.found]
        except ValueError as error:
            self.faults.append(Fault(place, str(error)))
        return None

    def _read_list(
        self, kind: Any, kinds: tuple[Any, ...], value: object, place: str, expected: str
    ) -> Any:
        if not isinstance(value, list):
            return self._refuse(place, expected, value)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(value)
        elif len(kinds) != len(value):
            self._refuse_length(place, str(len(kinds)), "items", value)
        self._check_length(kind, value, place, "items")
        return tuple(
            self.read(item, each, f"{place}[{index}]")
            for index, (item, each) in enumerate(zip(kinds, value, strict=False))
        )

    def _read_dict(
        self, kind: Any, kinds: tuple[Any, ...], value: object, place: str, expected: str
    ) -> Any:
        if not isinstance(value, dict):
            return self._refuse(place, expected, value)
        found = {}
        for key, each in value.items():
            inner = _join(place, key_place(key))
            found[self.read(kinds[0], key, inner)] = self.read(kinds[1], each, inner)
        self._check_length(kind, value, place, "entries")
        return found

    def _check_length(
        self, kind: Any, value: Collection[object], place: str, what: str
    ) -> None:
        for meta in get_args(kind)[1:] if get_origin(kind) is Annotated else ():
            if len(value) < (meta.min_length or 0):
                self._refuse_length(place, f"at least {meta.min_length}", what, value)
            if meta.max_length is not None and len(value) > meta.max_length:
                self._refuse_length(place, f"at most {meta.max_length}", what, value)

    def _refuse_length(
        self, place: str, expected: str, what: str, value: Collection[object]
    ) -> None:
        self.faults.append(Fault(place, f"expected {expected} {what}, got {len(value)}"))

    def _read_scalar(self, kind: Any, value: object, place: str, expected: str) -> Any:
        make: Callable[[object, Path], object] | None = getattr(kind, "from_config", None)
        if make is not None:
            try:
                return make(value, self._folder)
            except ValueError as error:
                self.faults.append(Fault(place, f"{error}, got {_shown(value)}"))
                return None
        try:
            return _read_path(value, self._folder) if kind is Path else msgspec.convert(value, kind)
        except ValueError:
            return self._refuse(place, expected, value)


def _read_path(value: object, folder: Path) -> Path:
    if not (isinstance(value, str) and value and value.isprintable()):
        raise ValueError("not a path")
    return folder / value


def _is_union(origin: object) -> bool:
    return origin in (Union, UnionType)


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _is_list(kind: Any) -> bool:
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return get_origin(bare) is tuple


def _range(meta: Meta) -> str:
    """The bounds of a number, with the first and last value that it may have."""
    if meta.ge is not None and meta.le is not None:
        return f" {meta.ge}..{meta.le}"
    bounds = {" from": meta.ge, " above": meta.gt, " up to": meta.le, " below": meta.lt}
    return "".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)


def _join(place: str, inner: str) -> str:
    return f"{place}.{inner}" if place and inner else place or inner


def key_place(key: object) -> str:
    """A key as part of a place: short, and on one line."""
    return key if isinstance(key, str) and _PLAIN_KEY.fullmatch(key) else _shown(key)


def _guess(key: object, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key[:_MAX_SHOWN], known, 1) if isinstance(key, str) else ()
    return f"; did you mean {close[0]}?" if close else ""


def _shown(value: object) -> str:
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, int) and value.bit_length() > 64:
        text = hex(value)  # in decimal Python refuses very long ones
    else:
        text = json.dumps(value, default=str)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
