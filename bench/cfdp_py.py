# mypy: disable-error-code="import-untyped"
"""The same transfer through cfdp-py's source and destination handlers."""

from __future__ import annotations

import logging
import time
import zlib
from collections import deque
from pathlib import Path
from typing import Any

from cfdppy.defs import CfdpState
from cfdppy.filestore import NativeFilestore
from cfdppy.handler import DestHandler, SourceHandler
from cfdppy.mib import (
    CheckTimerProvider,
    DefaultFaultHandlerBase,
    IndicationConfig,
    LocalEntityConfig,
    RemoteEntityConfig,
    RemoteEntityConfigTable,
)
from cfdppy.request import PutRequest
from cfdppy.user import CfdpUserBase, TransactionFinishedParams
from spacepackets.cfdp.defs import ChecksumType, ConditionCode, TransmissionMode
from spacepackets.cfdp.pdu.helper import PduFactory
from spacepackets.countdown import Countdown
from spacepackets.seqcount import SeqCountProvider
from spacepackets.util import ByteFieldU16

from bench.transfer import FILE_DATA, GROUND, SATELLITE, Loss, MemoryFile

NEVER = 1e6
"""Seconds: its timers run on the clock of the wall, and are expired by hand."""
SOURCE, TARGET = Path("source"), Path("target")
SOME = 1 << 20
"""Rounds of NAKs or ACKs: no limit is to be reached."""


class MemoryStore(NativeFilestore):  # type: ignore[misc]
    """Its filestore in memory. The checksum is one call of zlib, faster than its own."""

    def __init__(self, data: bytes) -> None:
        self.files = {SOURCE: MemoryFile(data)}

    def file_exists(self, path: Path) -> bool:
        return path in self.files

    def is_directory(self, path: Path) -> bool:
        return False

    def file_size(self, file: Path) -> int:
        return len(self.files[file].data)

    def create_file(self, file: Path) -> Any:
        self.files[file] = MemoryFile()

    def read_data(self, file: Path, offset: int | None, read_len: int | None = None) -> bytes:
        return self.files[file].read(offset or 0, read_len or 0)

    def write_data(self, file: Path, data: bytes, offset: int | None) -> None:
        self.files[file].write(offset or 0, data)

    def calculate_checksum(
        self, checksum_type: ChecksumType, file_path: Path, size_to_verify: int,
        segment_len: int = 4096,
    ) -> bytes:
        with memoryview(self.files[file_path].data) as view:
            return zlib.crc32(view[:size_to_verify]).to_bytes(4, "big")


def _ignore(*_: object, **__: object) -> None:
    pass


class _User(CfdpUserBase):  # type: ignore[misc]
    """Hears how transfers end and ignores the rest."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.ends: list[ConditionCode] = []

    def transaction_finished_indication(self, params: TransactionFinishedParams) -> None:
        self.ends.append(params.finished_params.condition_code)

    transaction_indication = eof_sent_indication = metadata_recv_indication = _ignore
    file_segment_recv_indication = report_indication = suspended_indication = _ignore
    resumed_indication = fault_indication = abandoned_indication = eof_recv_indication = _ignore


class _Faults(DefaultFaultHandlerBase):  # type: ignore[misc]
    notice_of_suspension_cb = notice_of_cancellation_cb = abandoned_cb = ignore_cb = _ignore


class _NoCheckTimers(CheckTimerProvider):  # type: ignore[misc]
    """Class 2 needs none."""

    def provide_check_timer(self, *_: object, **__: object) -> Countdown:
        return Countdown.from_seconds(NEVER)


class _Pair:
    """A source handler and a destination handler, PDUs as octets between them."""

    def __init__(self, store: MemoryStore, segment: int, immediate: bool) -> None:
        self.user = _User(store)
        self.source, self.dest = (
            make(self._config(own), self.user, self._table(other, segment, immediate),
                 _NoCheckTimers(), *rest)
            for make, own, other, rest in (
                (SourceHandler, SATELLITE, GROUND, [SeqCountProvider(32)]),
                (DestHandler, GROUND, SATELLITE, []),
            )
        )
        # All its receivers share one tracker, also with those of earlier transfers.
        self.dest._params.acked_params.lost_seg_tracker.reset()

    @staticmethod
    def _config(own: int) -> LocalEntityConfig:
        indications = IndicationConfig(False, False, False, True, False, False)
        return LocalEntityConfig(ByteFieldU16(own), indications, _Faults())

    @staticmethod
    def _table(other: int, segment: int, immediate: bool) -> RemoteEntityConfigTable:
        return RemoteEntityConfigTable([RemoteEntityConfig(
            ByteFieldU16(other), segment, segment + 100, False, False,
            TransmissionMode.ACKNOWLEDGED, ChecksumType.CRC_32,
            positive_ack_timer_interval_seconds=NEVER, positive_ack_timer_expiration_limit=SOME,
            immediate_nak_mode=immediate, nak_timer_interval_seconds=NEVER,
            nak_timer_expiration_limit=SOME,
        )])

    def run(self, lost: Loss) -> None:
        """PDUs back and forth until both ends have finished; no directive is lost."""
        request = PutRequest(
            ByteFieldU16(GROUND), SOURCE, TARGET, TransmissionMode.ACKNOWLEDGED, False
        )
        self.source.put_request(request)
        down: deque[bytes] = deque()
        up: deque[bytes] = deque()
        while self.source.state is not CfdpState.IDLE or self.dest.state is not CfdpState.IDLE:
            _turn(self.source, None, down)
            if not down:
                self._expire()
                _turn(self.dest, None, up)
            while down:
                octets = down.popleft()
                if not (octets[0] & FILE_DATA and lost()):
                    _turn(self.dest, octets, up)
            while up:
                _turn(self.source, up.popleft(), down)

    def _expire(self) -> None:
        """Nothing moves: what was asked for was lost again."""
        timer = self.dest._params.acked_params.procedure_timer
        if timer is None:
            raise AssertionError("cfdp-py stands still")
        timer.time_out()


def _turn(handler: Any, octets: bytes | None, out: deque[bytes]) -> None:
    """Give a handler a PDU; it wants its own fetched before it takes the next."""
    handler.state_machine(None if octets is None else PduFactory.from_raw(octets))
    while (holder := handler.get_next_packet()) is not None:
        out.append(bytes(holder.pdu.pack()))


def theirs(data: bytes, segment: int, lost: Loss, immediate: bool) -> float:
    """CPU seconds of both ends for one file; raises AssertionError if it does not arrive whole."""
    logging.getLogger("cfdppy").setLevel(logging.CRITICAL)
    store = MemoryStore(data)
    started = time.process_time()
    pair = _Pair(store, segment, immediate)
    pair.run(lost)
    seconds = time.process_time() - started
    if pair.user.ends != [ConditionCode.NO_ERROR] * 2 or store.files[TARGET].data != data:
        raise AssertionError(f"cfdp-py did not deliver the file: {pair.user.ends}")
    return seconds
