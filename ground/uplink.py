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
    done: Done
    sent: float
    asked: float


class Uplink:
    """Sends telecommands until they are answered; keeps what telemetry says."""

    def __init__(self, name: str, channel: Channel, apids: Apids) -> None:
        self.name = name
        self.channel = channel
        self.housekeeping: dict[str, int] = {}
        """The last values of every structure, as `structure.parameter`."""
        self.events: deque[tuple[float, Event]] = deque(maxlen=_EVENTS_KEPT)
        self.counters: Counter[str] = Counter()
        self._apids = apids
        self._pending: dict[int, _Pending] = {}

    # Telecommands.

    def command(self, command: pus.Command, done: Done, now: float) -> None:
        """Send a telecommand; `done` is called once. Every command may safely arrive twice."""
        count = self.channel.next_count(self._apids.commands)
        self._pending[count] = _Pending(command, done, now, now)
        self._send(count)

    def _send(self, count: int) -> None:
        packet = pus.encode_telecommand(
            self._pending[count].command, apid=self._apids.commands, sequence_count=count
        )
        self.channel.send(packet)
        self.counters["commands_sent"] += 1

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called."""
        return min((p.sent + RESEND for p in self._pending.values()), default=None)

    def handle_timer(self, now: float) -> None:
        """Send again what was not answered, or give it up."""
        for count, pending in list(self._pending.items()):
            if now - pending.asked >= GIVE_UP:
                del self._pending[count]
                pending.done(False, "the satellite does not answer")
            elif now - pending.sent >= RESEND:
                pending.sent = now
                self._send(count)

    # Telemetry.

    def receive(self, opened: security.Opened) -> None:
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
            self._answered(report)

    def _keep(self, report: Housekeeping) -> None:
        structure = {s.structure_id: s for s in (pus.ONBOARD, pus.LINK_DROPS)}
        name = structure[report.structure_id].name
        self.housekeeping.update({f"{name}.{key}": v for key, v in report.values.items()})

    def _answered(self, report: Success | Failure) -> None:
        if isinstance(report, Success) and report.stage is not Stage.COMPLETION:
            return
        request: RequestId = report.request
        pending = self._pending.pop(request.sequence_count, None)
        if pending is None or request.apid != self._apids.commands:
            return
        if isinstance(report, Success):
            pending.done(True, "done")
        else:
            pending.done(False, f"refused, {report.code}: {report.detail}")
