"""Two independent CFDP implementations behind one face, driven without a clock or a socket.

`CfdpPy` is cfdp-py (import `cfdppy`): two state machines, called. `LibreCube` is LibreCube's cfdp:
an entity with threads, over a transport that is a pair of queues. Their wall-clock timers are set
out of reach; where one must expire for the peer to go on, `tick` expires it.
"""

import logging
import queue
import threading
from abc import ABC, abstractmethod
from pathlib import Path

import cfdp
from cfdp.event import Event, EventType
from cfdp.filestore import NativeFileStore
from cfdp.transport.base import Transport
from cfdppy.filestore import NativeFilestore, VirtualFilestore
from cfdppy.handler import DestHandler, SourceHandler
from cfdppy.handler.common import PacketDestination, get_packet_destination
from cfdppy.mib import (
    CheckTimerProvider,
    DefaultFaultHandlerBase,
    EntityType,
    IndicationConfig,
    LocalEntityConfig,
    RemoteEntityConfig,
    RemoteEntityConfigTable,
)
from cfdppy.request import PutRequest
from cfdppy.user import CfdpUserBase, TransactionFinishedParams
from spacepackets.cfdp.defs import ChecksumType, TransmissionMode
from spacepackets.cfdp.pdu.helper import PduFactory
from spacepackets.countdown import Countdown
from spacepackets.seqcount import SeqCountProvider
from spacepackets.util import ByteFieldU16

from occulta.link.cfdp.constants import Condition, Mode

OURS, THEIRS = 1, 2
NEVER = 1e6
"""Seconds; longer than any test."""
PATIENCE = 30.0
"""Seconds in which a thread must have answered, or it is dead."""


class Peer(ABC):
    """An implementation that is not ours."""

    def __init__(self) -> None:
        self.ends: list[Condition] = []
        """The conditions of what it has finished, as it tells its user."""

    @abstractmethod
    def put(self, source: Path, name: str, mode: Mode, closure: bool) -> None:
        """Send a file to us."""

    @abstractmethod
    def take(self, pdu: bytes) -> None:
        """A PDU of ours arrives."""

    @abstractmethod
    def give(self) -> list[bytes]:
        """What it sends now."""

    @abstractmethod
    def tick(self) -> None:
        """Nothing else happens: a timer that it waits for expires."""

    @abstractmethod
    def destination(self, name: str) -> str:
        """What to call a file so that it ends up under `name` in the peer's folder."""

    def close(self) -> None:  # noqa: B027 - one of the two has nothing to let go of
        """Let go of threads."""


# --- cfdp-py


class _User(CfdpUserBase):
    """Hears how transactions end; everything else is of no interest."""

    def __init__(self, ends: list[Condition], store: VirtualFilestore) -> None:
        super().__init__(store)
        self.ends = ends

    def transaction_finished_indication(self, params: TransactionFinishedParams) -> None:
        self.ends.append(Condition(params.finished_params.condition_code))

    def ignore(self, *_: object) -> None:
        pass

    transaction_indication = eof_sent_indication = metadata_recv_indication = ignore
    file_segment_recv_indication = report_indication = suspended_indication = ignore
    resumed_indication = fault_indication = abandoned_indication = eof_recv_indication = ignore


class _Faults(DefaultFaultHandlerBase):
    def ignore(self, *_: object) -> None:
        pass

    notice_of_suspension_cb = notice_of_cancellation_cb = abandoned_cb = ignore_cb = ignore


class _CheckTimers(CheckTimerProvider):
    """A receiver's has expired whenever it looks, a sender's never."""

    def provide_check_timer(
        self, local_entity_id: object, remote_entity_id: object, entity_type: EntityType
    ) -> Countdown:
        return Countdown.from_seconds(NEVER if entity_type is EntityType.SENDING else 0)


class CfdpPy(Peer):
    """cfdp-py's source and destination handlers."""

    def __init__(
        self, folder: Path, checksum: ChecksumType = ChecksumType.MODULAR, crc: bool = False,
        max_packet: int = 1024, store: VirtualFilestore | None = None,
    ) -> None:
        super().__init__()
        logging.getLogger("cfdppy").setLevel(logging.CRITICAL)
        self.folder = folder
        remote = RemoteEntityConfig(
            ByteFieldU16(OURS), None, max_packet, False, crc, TransmissionMode.ACKNOWLEDGED,
            checksum, positive_ack_timer_interval_seconds=NEVER, nak_timer_interval_seconds=NEVER,
        )
        own = LocalEntityConfig(
            ByteFieldU16(THEIRS), IndicationConfig(file_segment_recvd_indication_required=False),
            _Faults(),
        )
        table = RemoteEntityConfigTable([remote])
        user = _User(self.ends, store or NativeFilestore())
        self.source = SourceHandler(own, user, table, _CheckTimers(), SeqCountProvider(32))
        self.dest = DestHandler(own, user, table, _CheckTimers())
        # All its receivers share one tracker, also with those of earlier tests.
        self.dest._params.acked_params.lost_seg_tracker.reset()
        self._out: list[bytes] = []

    def put(self, source: Path, name: str, mode: Mode, closure: bool) -> None:
        request = PutRequest(
            ByteFieldU16(OURS), source, Path(name), TransmissionMode(mode), closure
        )
        assert self.source.put_request(request)
        self._run(self.source)

    def take(self, pdu: bytes) -> None:
        packet = PduFactory.from_raw(pdu)
        assert packet is not None
        to_dest = get_packet_destination(packet) is PacketDestination.DEST_HANDLER
        self._run(self.dest if to_dest else self.source, packet)

    def _run(self, handler: SourceHandler | DestHandler, packet: object = None) -> None:
        handler.state_machine(packet)  # type: ignore[arg-type]
        while (holder := handler.get_next_packet()) is not None:
            self._out.append(bytes(holder.pdu.pack()))

    def give(self) -> list[bytes]:
        self._run(self.source)
        found, self._out = self._out, []
        return found

    def tick(self) -> None:
        self._run(self.dest)

    def destination(self, name: str) -> str:
        return str(self.folder / name)


# --- LibreCube's cfdp


class _Queues(Transport):
    """What the entity sends is kept; what it is to receive is given to `indication`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def request(self, data: bytes) -> None:
        self.sent.append(bytes(data))


class _Barrier:
    """An event of no transaction: in its turn all before it are done, and more may wait behind."""

    id = None
    type = None

    def __init__(self, events: "queue.Queue[object]") -> None:
        self.events = events
        self.last = False
        self.reached = threading.Event()

    @property
    def transaction(self) -> "_Barrier":
        """Asked for by the thread that works off the queue, and by nobody else."""
        self.last = self.events.empty()
        self.reached.set()
        return self


class _Entity(cfdp.CfdpEntity):  # type: ignore[misc, name-defined]
    ends: list[Condition]

    def transaction_finished_indication(
        self, transaction_id: object, condition: int, *_: object
    ) -> None:
        self.ends.append(Condition(condition))


class LibreCube(Peer):
    """LibreCube's entity, which has a thread for its events and one for messages."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        logging.getLogger("cfdp").setLevel(logging.CRITICAL)
        self.transport = _Queues()
        self.entity = _Entity(
            THEIRS, NativeFileStore(str(folder)), self.transport,
            transaction_finished_indication_required=True, transaction_inactivity_limit=None,
            positive_ack_timer_interval=None, nak_timer_interval=None,
        )
        self.entity.ends = self.ends

    def put(self, source: Path, name: str, mode: Mode, closure: bool) -> None:
        self.entity.put(OURS, source.name, name, transmission_mode=int(mode))

    def take(self, pdu: bytes) -> None:
        self.transport.indication(pdu)

    def give(self) -> list[bytes]:
        self._settle()
        found, self.transport.sent = self.transport.sent, []
        return found

    def _settle(self) -> None:
        """Until its event thread has nothing left to do."""
        barrier = None
        while barrier is None or not barrier.last:
            barrier = _Barrier(self.entity._event_queue)
            self.entity.trigger_event(barrier)
            assert barrier.reached.wait(PATIENCE), "its thread has died"

    def tick(self) -> None:
        """Its Class 2 receiver looks for what is missing only when its NAK timer expires."""
        for machine in list(self.entity.machines.values()):
            if machine.state == "GET_MISSING_DATA":
                self.entity.trigger_event(Event(machine.transaction, EventType.E26_NAK_TIMEOUT))

    def destination(self, name: str) -> str:
        return name

    def close(self) -> None:
        self.entity.shutdown()
        self.entity._event_thread.join(PATIENCE)
        self.entity._message_thread.join(PATIENCE)
        assert not self.entity._event_thread.is_alive()
