"""Sections that the configurations of both programs share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import zmq
from msgspec import Meta

from occulta.link import messages, space_packet
from occulta.link.cfdp.constants import ChecksumType
from occulta.link.cfdp.settings import Remote
from occulta.link.security import MAX_PLAIN_SIZE
from occulta.program.linkkeys import read_curve_public
from occulta.program.typed import Fault, Section

Name = Annotated[
    messages.Name, Meta(description="1 to 64 of A-Z, a-z, 0-9, period, underscore, hyphen")
]
Entity = Annotated[int, Meta(ge=0, le=0xFFFF)]
"""CFDP entity id; the link uses ids of 2 octets."""
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
LogLevel = Literal["debug", "info", "warning", "error"]
_Apid = Annotated[int, Meta(ge=0, le=space_packet.IDLE_APID - 1)]
_LARGEST_PDU = MAX_PLAIN_SIZE - space_packet.HEADER_SIZE
_CHECKSUMS = {
    "modular": ChecksumType.MODULAR, "crc32": ChecksumType.CRC_32, "crc32c": ChecksumType.CRC_32C,
    "none": ChecksumType.NULL,
}
_TCP = re.compile(r"tcp://([A-Za-z0-9._-]+|\*):([0-9]{1,5}|\*)")
_IPC = "ipc://"


class Address(str):
    """A ZeroMQ address: `ipc://PATH`, or `tcp://HOST:PORT` with a name or an IPv4 address.

    `*` for the host (all of this machine's) and for the port, or port 0 (one that the system
    chooses), are for listening only.
    """

    expected = "ipc://PATH or tcp://HOST:PORT"

    @classmethod
    def from_config(cls, value: object, folder: Path) -> Address:
        """Check an address; a relative path is below `folder`; raises ValueError."""
        if isinstance(value, str) and value.startswith(_IPC):
            return cls(_IPC + _socket_path(value.removeprefix(_IPC), folder))
        found = _TCP.fullmatch(value) if isinstance(value, str) else None
        if found is None or found[2] != "*" and int(found[2]) > 0xFFFF:
            raise ValueError(f"expected {cls.expected}")
        return cls(value)

    @property
    def is_ipc(self) -> bool:
        """True for a socket in the file system, whose permissions say who may connect."""
        return self.startswith(_IPC)

    @property
    def is_definite(self) -> bool:
        """True if one can connect to it."""
        found = _TCP.fullmatch(self)
        return found is None or found[1] != "*" and found[2].strip("0") not in ("", "*")


def _socket_path(text: str, folder: Path) -> str:
    # An abstract socket (@) or one in a temporary place (*) is guarded by no permissions.
    if not text or text[0] in "@*" or not text.isprintable():
        raise ValueError(f"expected {Address.expected}")
    path = str((folder / text).absolute())
    if len(path.encode()) > zmq.IPC_PATH_MAX_LEN:
        raise ValueError(f"expected a path of at most {zmq.IPC_PATH_MAX_LEN} bytes: {path}")
    return path


class Client(Section, frozen=True, kw_only=True):
    """One that may connect."""

    name: Name
    """Without CURVE also the routing id that the client declares."""
    public_key: Path | None = None
    """The client's CURVE public key file."""


class Listener(Section, frozen=True, kw_only=True):
    """An address where clients connect. Over tcp both sides need CURVE keys."""

    bind: Address | None = None
    """None does not listen."""
    secret_key: Path | None = None
    """This server's CURVE secret key file; None is for ipc only."""
    clients: Annotated[tuple[Client, ...], Meta(max_length=64)] = ()
    """The allow-list."""

    def faults(self) -> Iterator[Fault]:
        """Keys that are missing for the address, and an allow-list without anyone."""
        if self.bind is None:
            return
        if self.secret_key is None and not self.bind.is_ipc:
            yield Fault("secret_key", "missing: tcp needs CURVE keys")
        if not self.clients:
            yield Fault("clients", "missing: nobody may connect")
        for index, client in enumerate(self.clients):
            if self.secret_key is not None and client.public_key is None:
                yield Fault(f"clients[{index}].public_key", "missing: the server has a secret_key")
            if self.secret_key is None and client.public_key is not None:
                yield Fault(f"clients[{index}].public_key", "useless without a secret_key")

    def allow_list(self) -> dict[bytes, str]:
        """What `endpoint.Server` takes: CURVE public keys, else routing ids, to clients' names.

        Reads the key files; raises OccultaError as of `read_curve_public`.
        """
        return {
            read_curve_public(client.public_key) if client.public_key else client.name.encode():
            client.name for client in self.clients
        }


class Apids(Section, frozen=True, kw_only=True):
    """Application process ids (CCSDS 133.0-B-2, 4.1.3.3.4), the same at both ends."""

    files: _Apid = 100
    """File delivery, both ways."""
    telemetry: _Apid = 101
    commands: _Apid = 102

    def faults(self) -> Iterator[Fault]:
        """Two uses of one id."""
        if len({self.files, self.telemetry, self.commands}) < 3:
            yield Fault("", "files, telemetry and commands need three different APIDs")

    def of_packets(self) -> space_packet.Apids:
        """The same, as the link takes them."""
        return space_packet.Apids(self.files, self.telemetry, self.commands)


class Cfdp(Section, frozen=True, kw_only=True):
    """File delivery with one remote entity (CCSDS 727.0-B-5, Class 2); times in seconds."""

    max_pdu: Annotated[int, Meta(ge=128, le=_LARGEST_PDU)] = 1024
    """Largest PDU sent, octets; its link packet is 36 octets longer. From 128 on the names of a
    product's files fit.
    """
    checksum: Literal["modular", "crc32", "crc32c", "none"] = "crc32"
    ack_interval: Seconds = 5.0
    """EOF and Finished are repeated after this time without an answer."""
    nak_interval: Seconds = 5.0
    """What is missing is asked for again after this time."""
    inactivity: Seconds = 300.0
    """A transaction ends after this time of silence while there is contact."""
    reorder_window: Annotated[float, Meta(ge=0, le=86_400)] = 0.2
    """How long a gap stands before it counts as a loss."""

    def remote(self, entity: int) -> Remote:
        """The remote entity with these settings; raises ValueError for an id beyond 65535."""
        return Remote(
            entity, max_pdu=self.max_pdu, checksum_type=_CHECKSUMS[self.checksum],
            ack_interval=self.ack_interval, nak_interval=self.nak_interval,
            inactivity=self.inactivity, reorder_window=self.reorder_window,
        )
