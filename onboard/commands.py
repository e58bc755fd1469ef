"""Telecommands: who may give them, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from occulta.link import pus, security
from occulta.link.drops import Drop, PacketError
from occulta.link.pus import Ack, Failure, RequestId, Stage, Success, Telecommand
from occulta.link.pus.telemetry import MAX_TEXT
from occulta.link.space_packet import Apids
from occulta.program.channel import Channel
from occulta.program.typed import Faults
from onboard.downlink import Downlink
from onboard.pipeline import NO_PROFILE, REVERSIBLE, SCHEMES
from onboard.spool import Spool
from onboard.telemetry import EventId, Reporter
from onboard.workshop import Workshop

_RULES = "rules"
_ALL = 0


class Refused(Exception):
    """A telecommand that cannot be done: the reason's number and a line."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Housekeeper(Protocol):
    """Makes housekeeping reports on demand."""

    def __call__(self, structure_id: int) -> pus.Housekeeping:
        """The report of a structure; raises KeyError for one that is not there."""


class Commands:
    """Carries out telecommands and reports each stage (ECSS-E-ST-70-41C, 6.1)."""

    def __init__(
        self, spool: Spool, downlink: Downlink, workshop: Workshop, reporter: Reporter,
        channels: dict[int, Channel], apids: Apids, housekeeping: Housekeeper,
    ) -> None:
        self.done = 0
        self.refused = 0
        self._spool = spool
        self._downlink = downlink
        self._workshop = workshop
        self._reporter = reporter
        self._channels = channels
        self._apids = apids
        self._housekeeping = housekeeping
        self._recall_rules()

    def receive(self, source: int, opened: security.Opened, now: float) -> None:
        """Take a verified packet that is no PDU; raises PacketError for what is no telecommand.

        What a key's role does not allow is dropped without an answer.
        """
        security.authorise(opened, (self._apids.commands,))
        request = RequestId.of(opened.packet)
        if request.apid != self._apids.commands:
            raise PacketError(Drop.UNKNOWN_APID, f"APID {request.apid}")
        try:
            telecommand = pus.decode_telecommand(opened.packet)
        except PacketError as error:
            self._fail(source, Failure(Stage.ACCEPTANCE, request, error.drop, error.detail))
            raise
        self._succeed(source, telecommand, Stage.ACCEPTANCE, Ack.ACCEPTANCE)
        try:
            self._do(source, telecommand.command, now)
        except Refused as error:
            detail = str(error)[: MAX_TEXT]
            self._fail(source, Failure(Stage.COMPLETION, request, error.code, detail))
            return
        self.done += 1
        self._succeed(source, telecommand, Stage.COMPLETION, Ack.COMPLETION)

    def _succeed(self, source: int, command: Telecommand, stage: Stage, wanted: Ack) -> None:
        if command.acknowledge & wanted:
            self._reporter.report(Success(stage, command.request), source)

    def _fail(self, source: int, failure: Failure) -> None:
        self.refused += 1
        self._reporter.report(failure, source)
        self._reporter.event(EventId.COMMAND_REFUSED, failure.detail, failure.code)

    def _do(self, source: int, command: pus.Command, now: float) -> None:
        if isinstance(command, pus.AreYouAlive):
            self._reporter.report(pus.Alive(), source)
        elif isinstance(command, pus.ReportHousekeeping):
            self._report(source, command)
        elif isinstance(command, pus.SetScheme):
            self._set_scheme(command)
        elif isinstance(command, pus.SetPriority):
            known = self._spool.deliveries.set_priority(command.product_id, command.priority)
            _require(known, "no such product")
        elif isinstance(command, pus.Hold | pus.Resume):
            self._hold_or_resume(command)
        elif isinstance(command, pus.Cancel):
            _require(self._downlink.cancel(command.product_id, now), "no such product")
        elif isinstance(command, pus.Purge):
            self._spool.deliveries.purge(command.priority)
        else:
            self._select_key(command)

    def _report(self, source: int, command: pus.ReportHousekeeping) -> None:
        try:
            self._reporter.report(self._housekeeping(command.structure_id), source)
        except KeyError:
            raise Refused(Drop.PUS_FIELD, "no such structure") from None

    def _hold_or_resume(self, command: pus.Hold | pus.Resume) -> None:
        number = None if command.destination == _ALL else command.destination
        _require(number is None or number in self._channels, "no such destination")
        deliveries = self._spool.deliveries
        verb: Callable[[int | None], None] = deliveries.resume
        if isinstance(command, pus.Hold):
            verb = deliveries.hold
        verb(number)

    def _select_key(self, command: pus.SelectLinkKey) -> None:
        channel = self._channels.get(command.destination)
        _require(channel is not None, "no such destination")
        assert channel is not None
        try:
            channel.select_key(command.key_id)
        except ValueError as error:
            raise Refused(Drop.UNKNOWN_KEY, str(error)) from None

    # Rules: what was set by command holds across restarts.

    def _set_scheme(self, command: pus.SetScheme) -> None:
        index = self._rule(command.rule)
        _require(command.scheme in SCHEMES, "no such scheme")
        known = command.profile in (("exact", "paper") if command.scheme == REVERSIBLE
                                    else (NO_PROFILE,))
        _require(known, "no such profile")
        rule = self._workshop.rules[index]
        changes = {"scheme": command.scheme}
        if command.scheme == REVERSIBLE:
            changes["profile"] = command.profile
        try:
            self._workshop.rules[index] = msgspec.structs.replace(rule, **changes)
        except Faults as error:
            raise Refused(Drop.PUS_FIELD, str(error.found[0])) from None
        self._remember_rules()

    def _rule(self, name: str) -> int:
        """A rule's index, by its name or by its number, counted from 1."""
        for index, rule in enumerate(self._workshop.rules):
            if name in (rule.name, str(index + 1)):
                return index
        raise Refused(Drop.PUS_FIELD, "no such rule")

    def _remember_rules(self) -> None:
        chosen = [(rule.scheme, rule.profile) for rule in self._workshop.rules]
        self._spool.state.put({_RULES: msgspec.msgpack.encode(chosen)})

    def _recall_rules(self) -> None:
        """Unless the configuration has another number of rules by now."""
        data = self._spool.state.get(_RULES)
        if data is None:
            return
        chosen = msgspec.msgpack.decode(data, type=list[tuple[str, str]])
        if len(chosen) != len(self._workshop.rules):
            return
        for index, (scheme, profile) in enumerate(chosen):
            rule = self._workshop.rules[index]
            with suppress(Faults):  # the configuration has become stricter since
                self._workshop.rules[index] = msgspec.structs.replace(
                    rule, scheme=scheme, profile=profile
                )


def _require(condition: bool, detail: str) -> None:
    if not condition:
        raise Refused(Drop.PUS_FIELD, detail)
