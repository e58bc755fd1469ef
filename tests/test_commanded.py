"""Schemes set by telecommand: for how long they hold, what is forgotten, and what a purge says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from occulta.link import pus
from occulta.link.drops import Drop
from occulta.link.pus import Event
from occulta.link.security import Opened, Role
from onboard.commanded import _digest
from onboard.config import LAST_RULES, Rule
from onboard.telemetry import EventId
from tests import spool_support
from tests.intake_support import GROUND
from tests.test_commands import APIDS, Satellite, done, refusal

NAV = Rule(name="nav", camera="nav", scheme="reversible")
SPY = Rule(name="spy", camera="spy", scheme="reversible")
NAMELESS = Rule(camera="c", scheme="reversible")
FORGOTTEN = "rule {}: {}, which was commanded, holds no longer, for the configuration has changed"


def schemes(satellite: Satellite) -> dict[str | None, tuple[str, str]]:
    found = satellite.workshop.rules[: -len(LAST_RULES)]
    return {rule.name: (rule.scheme, rule.profile) for rule in found}


def purge(satellite: Satellite, priority: int) -> list[tuple[str, int]]:
    """What is told of it."""
    packet = pus.encode_telecommand(
        pus.Purge(priority), apid=APIDS.commands, sequence_count=0)
    satellite.commands.receive(GROUND, Opened(packet, 1, Role.COMMANDER), 0.0)
    return events(satellite, EventId.PURGED)


def events(satellite: Satellite, which: EventId) -> list[tuple[str, int]]:
    """Texts and parameters of the events that were told since the last time."""
    satellite.reporter.flush([GROUND])
    return [(report.text, report.parameter) for report in satellite.wires[GROUND].take()
            if isinstance(report, Event) and report.definition_id == which]


def forgotten(satellite: Satellite) -> list[str]:
    return [text for text, _ in events(satellite, EventId.RULE_FORGOTTEN)]


def commanded(folder: Path, *rules: Rule, command: pus.SetScheme) -> None:
    """A life in which a rule's scheme is commanded."""
    with Satellite(folder, *rules) as satellite:
        assert satellite.do(command) == done()


# --- what holds


def test_a_commanded_scheme_holds_across_restarts(tmp_path: Path) -> None:
    with Satellite(tmp_path, NAV, SPY) as satellite:
        assert satellite.do(pus.SetScheme("nav", "sealed", "none"), 0) == done(0)
        assert satellite.do(pus.SetScheme("2", "reversible", "paper"), 1) == done(1)
        for _ in range(2):
            assert schemes(satellite) == {
                "nav": ("sealed", "exact"), "spy": ("reversible", "paper")}
            satellite.restart()
            assert forgotten(satellite) == []


def test_only_the_rule_that_was_commanded_is_remembered(tmp_path: Path) -> None:
    commanded(tmp_path, NAV, SPY, command=pus.SetScheme("nav", "sealed", "none"))
    stricter = msgspec.structs.replace(SPY, scheme="sealed")
    with Satellite(tmp_path, NAV, stricter) as satellite:
        assert schemes(satellite) == {"nav": ("sealed", "exact"), "spy": ("sealed", "exact")}
        assert forgotten(satellite) == []


def test_a_named_rule_may_move(tmp_path: Path) -> None:
    commanded(tmp_path, NAV, SPY, command=pus.SetScheme("nav", "sealed", "none"))
    with Satellite(tmp_path, NAMELESS, SPY, NAV) as satellite:
        assert schemes(satellite) == {None: ("reversible", "exact"), "nav": ("sealed", "exact"),
                                      "spy": ("reversible", "exact")}
        assert forgotten(satellite) == []


def test_a_rule_with_holders_may_be_set_to_shares_and_back(tmp_path: Path) -> None:
    rule = msgspec.structs.replace(NAV, holders=("ground", "other"))
    with Satellite(tmp_path, rule, SPY) as satellite:
        assert satellite.do(pus.SetScheme("nav", "shares", "none"), 0) == done(0)
        satellite.restart()
        assert schemes(satellite)["nav"] == ("shares", "exact")
        assert forgotten(satellite) == []
        assert satellite.do(pus.SetScheme("nav", "sealed", "none"), 1) == done(1)
        assert schemes(satellite)["nav"] == ("sealed", "exact")


# --- what is forgotten


def test_a_rule_that_the_configuration_has_changed(tmp_path: Path) -> None:
    """It does not come back with the former configuration either."""
    commanded(tmp_path, NAV, SPY, command=pus.SetScheme("nav", "sealed", "none"))
    paper = msgspec.structs.replace(NAV, profile="paper")
    with Satellite(tmp_path, paper, SPY) as satellite:
        assert schemes(satellite)["nav"] == ("reversible", "paper")
        assert forgotten(satellite) == [FORGOTTEN.format("nav", "sealed")]
    with Satellite(tmp_path, NAV, SPY) as satellite:
        assert schemes(satellite)["nav"] == ("reversible", "exact")
        assert forgotten(satellite) == []


def test_another_rule_in_the_place_of_a_commanded_one(tmp_path: Path) -> None:
    weather = Rule(name="weather", camera="weather", scheme="sealed", sensitive=False)
    commanded(tmp_path, weather, SPY, command=pus.SetScheme("weather", "plain", "none"))
    military = Rule(name="military", camera="mil", scheme="sealed", sensitive=False)
    with Satellite(tmp_path, military, SPY) as satellite:
        assert schemes(satellite) == {"military": ("sealed", "exact"),
                                      "spy": ("reversible", "exact")}
        assert forgotten(satellite) == [FORGOTTEN.format("weather", "plain")]


def test_a_nameless_rule_is_known_by_its_number(tmp_path: Path) -> None:
    commanded(tmp_path, NAMELESS, command=pus.SetScheme("1", "sealed", "none"))
    with Satellite(tmp_path, NAMELESS) as satellite:
        assert schemes(satellite) == {None: ("sealed", "exact")}
    with Satellite(tmp_path, NAV, NAMELESS) as satellite:
        assert schemes(satellite)[None] == ("reversible", "exact")
        assert forgotten(satellite) == [FORGOTTEN.format("#1", "sealed")]


@pytest.mark.parametrize("value", [
    b"", b"\xc1", msgspec.msgpack.encode([("sealed", "none")]), b"\x91" * 5000,
    msgspec.msgpack.encode({"nav": {"scheme": "off", "profile": "exact", "configured": b""}}),
    b"\x81\xa3\xff\xff\xff\x80",
], ids=["empty", "no-msgpack", "former", "deep", "unknown-scheme", "no-utf-8"])
def test_what_cannot_be_read_is_forgotten(tmp_path: Path, value: bytes) -> None:
    with Satellite(tmp_path, NAV) as satellite:
        satellite.spool.state.put({"rules": value})
        satellite.restart()
        assert schemes(satellite) == {"nav": ("reversible", "exact")}
        assert forgotten(satellite) == [
            "rules: what was commanded cannot be read, and holds no longer"]
        satellite.restart()
        assert forgotten(satellite) == []


# --- what is refused


@pytest.mark.parametrize(("command", "detail"), [
    (pus.SetScheme("sun", "sealed", "none"), "no such rule"),
    (pus.SetScheme("0", "sealed", "none"), "no such rule"),
    (pus.SetScheme("nav", "robust", "none"), "no such scheme"),
    (pus.SetScheme("nav", "reversible", "none"), "no such profile"),
    (pus.SetScheme("nav", "sealed", "exact"), "no such profile"),
    (pus.SetScheme("nav", "plain", "none"),
     "scheme: plain is for frames with `sensitive: false` alone"),
    (pus.SetScheme("nav", "shares", "none"), "holders: shares need at least two destinations"),
    (pus.SetScheme("nav", "shares", "jpeg"), "no such profile"),
])
def test_what_is_refused_changes_nothing(
    tmp_path: Path, command: pus.SetScheme, detail: str
) -> None:
    with Satellite(tmp_path, NAV) as satellite:
        assert satellite.do(command) == refusal(Drop.PUS_FIELD, detail)
        assert schemes(satellite) == {"nav": ("reversible", "exact")}
        assert satellite.spool.state.get("rules") is None


# --- purge


def test_a_purge_says_how_much_it_took(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is being sent goes on."""
    caplog.set_level("INFO", "occulta.onboard")
    with Satellite(tmp_path, NAV) as satellite:
        for number, priority in ((1, 10), (2, 20), (3, 30), (4, 40)):
            spool_support.store(satellite.spool, number, priority=priority)
        deliveries = satellite.spool.deliveries
        assert deliveries.set_priority(spool_support.product_of(1, b"", 10, (GROUND,)).id, 200)
        first = deliveries.next_waiting(GROUND)
        assert first is not None and first.priority == 20
        assert deliveries.mark_sending(first.id, GROUND)
        told = purge(satellite, 20)
        line = "purged deliveries of priority number 20 or higher: 3"
        assert satellite.products() == 1
        assert line in caplog.messages
        assert told == [(line, 3)]


def test_what_was_commanded_outlives_an_option_that_is_added() -> None:
    class Later(Rule, frozen=True, kw_only=True):
        added: int | None = None

    for options in ({}, {"camera": "a*", "priority": 3, "name": "x", "labels": {"a": "b"}}):
        rule = {"scheme": "sealed", **options}
        assert _digest(Rule(**rule)) == _digest(Later(**rule)) != _digest(Later(**rule, added=1))
    assert _digest(Rule(scheme="sealed")) != _digest(Rule(scheme="reversible"))
