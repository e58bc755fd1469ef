"""Telecommands: who may give them, and what they do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from occulta.errors import OccultaError
from occulta.link import pus, security
from occulta.link.drops import Drop, PacketError
from occulta.link.pus import Ack, Failure, RequestId, Stage, Success, Telecommand
from occulta.link.pus.telecommands import COMMANDS
from occulta.link.pus.telemetry import MAX_TEXT
from occulta.link.security import Role
from occulta.link.space_packet import Apids
from occulta.program.channel import Channel
from onboard.commanded import CommandedRules
from onboard.downlink import Downlink
from onboard.spool import Spool
from onboard.telemetry import EventId, Reporter
from onboard.workshop import Workshop

log = logging.getLogger("occulta.onboard")
_NAMES = {layout.make: layout.name.replace("_", "-") for layout in COMMANDS}
"""What the ground calls telecommands."""
_ALL = 0
REMEMBERED = 16
"""Telecommands of each source whose answers are kept."""


class Refused(Exception):
    """A telecommand that cannot be done: the reason's number and a line."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Housekeeper(Protocol):
    """Makes housekeeping reports on demand."""

    def __call__(self, structure_id: int) -> pus.Housekeeping:
        """The report of a structure; raises KeyError for one that is not there."""


@dataclass(frozen=True, slots=True)
class _Order:
    """A telecommand, the destination it came from, and the key it came under."""

    source: int
    key_id: int
    telecommand: Telecommand


class Commands:
    """Carries out telecommands and reports each stage (ECSS-E-ST-70-41C, 6.1).

    One that is repeated, because its answer was lost, is answered again and not carried out again.
    That is remembered until the daemon ends.
    """

    def __init__(
        self, spool: Spool, downlink: Downlink, workshop: Workshop, reporter: Reporter,
        channels: dict[int, Channel], apids: Apids, housekeeping: Housekeeper,
    ) -> None:
        self.done = 0
        self.refused = 0
        self._spool = spool
        self._downlink = downlink
        self._reporter = reporter
        self._channels = channels
        self._apids = apids
        self._housekeeping = housekeeping
        self._answers: dict[int, dict[bytes, list[pus.Report]]] = {n: {} for n in channels}
        """What was answered to each source's last telecommands, the oldest first."""
        self._rules = CommandedRules(spool.state, workshop.rules)
        for line in self._rules.notices:
            self._tell(EventId.RULE_FORGOTTEN, line)

    def receive(self, source: int, opened: security.Opened, now: float) -> None:
        """Take a verified packet that is no PDU; raises PacketError for what is no telecommand.

        What a key's role does not allow is dropped without an answer.
        """
        security.authorise(opened, (self._apids.commands,))
        answers = self._answers[source]
        if opened.packet in answers:
            for report in answers[opened.packet]:
                self._reporter.report(report, source)
            return
        request = RequestId.of(opened.packet)
        if request.apid != self._apids.commands:
            raise PacketError(Drop.UNKNOWN_APID, f"APID {request.apid}")
        try:
            telecommand = pus.decode_telecommand(opened.packet)
        except PacketError as error:
            failure = Failure(Stage.ACCEPTANCE, request, error.drop, error.detail)
            self._reporter.report(failure, source)
            self._refuse("a telecommand", source, failure)
            raise
        # The whole packet: sequence counts alone may come again when the ground has restarted.
        reports = answers[opened.packet] = []
        if len(answers) > REMEMBERED:
            del answers[next(iter(answers))]
        for report in self._carry_out(_Order(source, opened.key_id, telecommand), now):
            reports.append(report)
            self._reporter.report(report, source)

    def _carry_out(self, order: _Order, now: float) -> Iterator[pus.Report]:
        """What is to be answered, as it happens."""
        request, wanted = order.telecommand.request, order.telecommand.acknowledge
        name = _NAMES[type(order.telecommand.command)]
        if wanted & Ack.ACCEPTANCE:
            yield Success(Stage.ACCEPTANCE, request)
        try:
            yield from self._do(order, now)
        except Refused as error:
            failure = Failure(Stage.COMPLETION, request, error.code, str(error)[: MAX_TEXT])
            yield failure
            self._refuse(name, order.source, failure)
            return
        except OccultaError as error:  # a full disk, say: to be given again
            failure = Failure(Stage.COMPLETION, request, error.reason.value, str(error)[: MAX_TEXT])
            yield failure
            self._refuse(name, order.source, failure)
            return
        self.done += 1
        log.info("%s from %s carried out", name, self._channels[order.source].remote.peer)
        if wanted & Ack.COMPLETION:
            yield Success(Stage.COMPLETION, request)

    def _refuse(self, name: str, source: int, failure: Failure) -> None:
        self.refused += 1
        line = f"{name} from {self._channels[source].remote.peer} refused: {failure.detail}"
        log.info("%s", line)
        self._reporter.event(EventId.COMMAND_REFUSED, line, failure.code)

    def _do(self, order: _Order, now: float) -> Iterator[pus.Report]:
        command = order.telecommand.command
        if isinstance(command, pus.AreYouAlive):
            yield pus.Alive()
        elif isinstance(command, pus.ReportHousekeeping):
            yield self._report(command)
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
            self._purge(command.priority)
        elif isinstance(command, pus.SelectLinkKey):
            self._select_key(command, order)
        else:
            self._retire_key(command, order)

    def _report(self, command: pus.ReportHousekeeping) -> pus.Housekeeping:
        try:
            return self._housekeeping(command.structure_id)
        except KeyError:
            raise Refused(Drop.PUS_FIELD, "no such structure") from None

    def _set_scheme(self, command: pus.SetScheme) -> None:
        try:
            self._rules.set(command.rule, command.scheme, command.profile)
        except ValueError as error:
            raise Refused(Drop.PUS_FIELD, str(error)) from None

    def _purge(self, priority: int) -> None:
        count = self._spool.deliveries.purge(priority)
        line = f"purged deliveries of priority number {priority} or higher: {count}"
        self._tell(EventId.PURGED, line, count)

    def _tell(self, event: EventId, line: str, parameter: int = 0) -> None:
        log.info("%s", line)
        self._reporter.event(event, line, parameter)

    def _hold_or_resume(self, command: pus.Hold | pus.Resume) -> None:
        number = None if command.destination == _ALL else command.destination
        _require(number is None or number in self._channels, "no such destination")
        deliveries = self._spool.deliveries
        verb: Callable[[int | None], None] = deliveries.resume
        if isinstance(command, pus.Hold):
            verb = deliveries.hold
        verb(number)

    # Link keys. Nobody may cut off their own telecommands.

    def _channel(self, destination: int) -> Channel:
        channel = self._channels.get(destination)
        if channel is None:
            raise Refused(Drop.PUS_FIELD, "no such destination")
        return channel

    def _select_key(self, command: pus.SelectLinkKey, order: _Order) -> None:
        channel = self._channel(command.destination)
        # Whoever commands this for itself follows, and would be obeyed no more.
        is_others = command.destination != order.source
        role = channel.roles.get(command.key_id, Role.COMMANDER)
        _require(is_others or role is Role.COMMANDER, "no commander's key")
        try:
            channel.select_key(command.key_id)
        except ValueError as error:
            raise Refused(Drop.UNKNOWN_KEY, str(error)) from None

    def _retire_key(self, command: pus.RetireLinkKey, order: _Order) -> None:
        channel = self._channel(command.destination)
        key = command.destination, command.key_id
        in_use = (order.source, order.key_id), (command.destination, channel.selected_key)
        _require(key not in in_use, "the key is in use")
        left = (
            role for number, other in self._channels.items()
            for key_id, role in other.roles.items() if (number, key_id) != key
        )
        _require(Role.COMMANDER in left, "no commander's key would be left")
        try:
            channel.retire_key(command.key_id)
        except ValueError as error:
            raise Refused(Drop.UNKNOWN_KEY, str(error)) from None


def _require(condition: bool, detail: str) -> None:
    if not condition:
        raise Refused(Drop.PUS_FIELD, detail)
