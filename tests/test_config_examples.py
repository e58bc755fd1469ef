"""The example configurations: they show every option, and what they say of it is true."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import yaml

from ground.config import GroundConfig
from occulta.program.config import load
from occulta.program.sections import Apids
from occulta.program.typed import Section, describe
from onboard.config import OnboardConfig
from sim.link.config import Relay, schedule
from sim.link.config import load as load_relay
from tests.cli import ROOT

KINDS: dict[str, type[Section]] = {
    "onboard": OnboardConfig, "ground": GroundConfig, "link": Relay,
}
EXAMPLES = {name: ROOT / "configs" / f"{name}.yaml" for name in KINDS}
programs = pytest.mark.parametrize("program", KINDS)


def options(kind: Any, node: yaml.MappingNode, place: str = "") -> list[tuple[str, Any, int]]:
    """(place, field, line) of every option of a structure and those inside it."""
    lines = {key.value: (key.start_mark.line, value) for key, value in node.value}
    found = []
    for field in msgspec.structs.fields(kind):
        where = f"{place}.{field.name}".lstrip(".")
        assert field.name in lines, f"{where} is not shown"
        line, value = lines[field.name]
        found.append((where, field, line))
        inner = structure_in(field.type)
        if inner and isinstance(value, yaml.SequenceNode):
            found += options(inner, value.value[0], where)
        elif inner:
            found += options(inner, value, where)
    return found


def structure_in(kind: Any) -> Any:
    """The structure that a field's type is, or holds."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next(filter(None, map(structure_in, getattr(kind, "__args__", ()))), None)


def comment_above(lines: list[str], line: int) -> str:
    words: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        words.insert(0, lines[line].strip(" #"))
    return " ".join(words)


def documented(field: Any) -> str:
    """How an option's comment must end."""
    if field.required:
        return f"({describe(field.type)}; required)"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"({describe(field.type)}; default {json.dumps(default)})"


@programs
def test_the_example_shows_every_option_with_its_type_and_default(program: str) -> None:
    text = EXAMPLES[program].read_text()
    found = options(KINDS[program], yaml.compose(text))
    assert len(found) > 30
    for place, field, line in found:
        if describe(field.type) == "mapping" and isinstance(field.default, msgspec.Struct):
            continue  # its options say it
        assert comment_above(text.splitlines(), line).endswith(documented(field)), place


@programs
def test_the_example_can_be_used(program: str) -> None:
    load(EXAMPLES[program], KINDS[program])


def test_the_examples_meet() -> None:
    satellite = load(EXAMPLES["onboard"], OnboardConfig)
    node = load(EXAMPLES["ground"], GroundConfig).satellites[0]
    destination = satellite.destinations[0]
    assert (satellite.entity, satellite.apids) == (node.entity, node.apids)
    assert (destination.entity, destination.cfdp) == (2, node.cfdp)
    assert satellite.apids == Apids()


def test_the_relay_stands_between_them() -> None:
    relay, link = load_relay(EXAMPLES["link"])
    satellite = load(EXAMPLES["onboard"], OnboardConfig)
    node = load(EXAMPLES["ground"], GroundConfig).satellites[0]
    assert relay.space.bind == satellite.destinations[0].address
    assert relay.nodes[0].address == node.bind
    assert {client.name for client in node.clients} == {"relay"}
    assert schedule(relay, link).elevation is not None
