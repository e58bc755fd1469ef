"""One satellite as the ground node knows it: telecommands up, telemetry down."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from occulta.link import pus, security
from occulta.link.drops import Drop, PacketError
from occulta.link.pus import Event, Failure, Housekeeping, RequestId, Severity, Stage, Success
from occulta.link.space_packet import HEADER_SIZE, Apids
from occulta.program.channel import Channel

log = logging.getLogger("occulta.ground")
RESEND = 1.0
"""Seconds after which a telecommand without an answer is sent again."""
GIVE_UP = 30.0
"""Seconds: more often sent than a satellite that was restarted takes packets for seen."""
MAX_PENDING = 64
"""Commands that wait for one satellite."""
_EVENTS_KEPT = 256
_LEVELS = {
    Severity.INFORMATIVE: logging.INFO, Severity.LOW: logging.INFO,
    Severity.MEDIUM: logging.WARNING, Severity.HIGH: logging.ERROR,
}
Done = Callable[[bool, str], object]
"""Told whether a telecommand was carried out, and what the satellite said."""


@dataclass
class _Pending:
    command: pus.Command
    packet: bytes
    done: Done
    asked: float
    sent: float | None = None


class Uplink:
    """Sends telecommands until they are answered; keeps what telemetry says."""

    def __init__(
        self, name: str, channel: Channel, apids: Apids, *, patience: float = 10.0
    ) -> None:
        """Contact ends with `patience` seconds of silence."""
        self.name = name
        self.channel = channel
        self.housekeeping: dict[str, int] = {}
        """The last values of every structure, as `structure.parameter`."""
        self.events: deque[tuple[float, Event]] = deque(maxlen=_EVENTS_KEPT)
        self.counters: Counter[str] = Counter()
        self._apids = apids
        self._patience = patience
        self._pending: deque[_Pending] = deque()
        """The first one is on its way: a command sent again never comes behind a later one."""

    def has_contact(self, now: float) -> bool:
        """Whether the satellite is there, as far as can be told: a packet from it has verified."""
        heard = self.channel.heard
        return self.channel.connected and heard is not None and now - heard < self._patience

    # Telecommands.

    def command(self, command: pus.Command, done: Done, now: float) -> None:
        """Send a telecommand once those before it are answered; `done` is called once.

        Raises ValueError for one that cannot be encoded, or when too many wait, and where no answer
        would come: the satellite says nothing to keys that may not command.
        """
        role = self.channel.roles.get(self.channel.selected_key)
        if role is not security.Role.COMMANDER:
            name = "none that it knows" if role is None else f"a {role}'s"
            raise ValueError(f"this node may not command {self.name}: its link key is {name}")
        if len(self._pending) >= MAX_PENDING:
            raise ValueError("too many commands wait for an answer")
        count = self.channel.next_count(self._apids.commands)
        packet = pus.encode_telecommand(
            command, apid=self._apids.commands, sequence_count=count
        )
        self._pending.append(_Pending(command, packet, done, now))
        self._send_first(now)

    def _send_first(self, now: float) -> None:
        if self._pending and self._pending[0].sent is None:
            self._send(self._pending[0], now)

    def _send(self, pending: _Pending, now: float) -> None:
        if pending.sent is None:
            pending.asked = now
        pending.sent = now
        self.channel.send(pending.packet)
        self.counters["commands_sent"] += 1

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called."""
        first = self._pending[0] if self._pending else None
        return None if first is None or first.sent is None else first.sent + RESEND

    def handle_timer(self, now: float) -> None:
        """Send again what was not answered, or give it up."""
        if not self._pending:
            return
        first = self._pending[0]
        if now - first.asked >= GIVE_UP:
            self._pending.popleft()
            first.done(False, "the satellite does not answer")
            self._send_first(now)
        elif first.sent is None or now - first.sent >= RESEND:
            self._send(first, now)

    # Telemetry.

    def receive(self, opened: security.Opened, now: float) -> None:
        """Take a verified packet that is no PDU; raises PacketError."""
        apid = int.from_bytes(opened.packet[:2], "big") & 0x7FF
        if apid != self._apids.telemetry or len(opened.packet) <= HEADER_SIZE:
            raise PacketError(Drop.UNKNOWN_APID, f"APID {apid}")
        telemetry = pus.decode_telemetry(opened.packet)
        report = telemetry.report
        self.counters["reports"] += 1
        if isinstance(report, Housekeeping):
            self._keep(report)
        elif isinstance(report, Event):
            self.events.append((telemetry.time, report))
            log.log(_LEVELS[report.severity], "%s: %s", self.name, report.text)
        elif isinstance(report, Success | Failure):
            self._answered(report, now)

    def _keep(self, report: Housekeeping) -> None:
        structure = {s.structure_id: s for s in (pus.ONBOARD, pus.LINK_DROPS)}
        name = structure[report.structure_id].name
        self.housekeeping.update({f"{name}.{key}": v for key, v in report.values.items()})

    def _answered(self, report: Success | Failure, now: float) -> None:
        if isinstance(report, Success) and report.stage is not Stage.COMPLETION:
            return
        request: RequestId = report.request
        first = self._pending[0] if self._pending else None
        if first is None or request != RequestId.of(first.packet):
            return
        pending = self._pending.popleft()
        if isinstance(report, Success):
            pending.done(True, "done" + self._keep_up(pending.command))
        else:
            if isinstance(pending.command, pus.RetireLinkKey) and report.code == Drop.UNKNOWN_KEY:
                self._keep_up(pending.command)  # it is gone on board: an answer was lost before
            pending.done(False, f"refused, {report.code}: {report.detail}")
        self._send_first(now)

    def _keep_up(self, command: pus.Command) -> str:
        """Do here what was done to the keys on board, if they are this node's; what went wrong."""
        if not isinstance(command, pus.SelectLinkKey | pus.RetireLinkKey):
            return ""
        if command.destination != self.channel.own_entity:
            return ""
        change = self.channel.select_key
        if isinstance(command, pus.RetireLinkKey):
            change = self.channel.retire_key
        try:
            change(command.key_id)
        except ValueError as error:  # this node has not the keys that the satellite has
            return f" on board, but not here: {error}"
        return ""
