"""Sections of the configurations as the library takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from occulta.link import space_packet
from occulta.link.cfdp.constants import ChecksumType
from occulta.link.cfdp.settings import Remote
from occulta.link.security import MAX_PLAIN_SIZE, OVERHEAD
from occulta.program.config import parse
from occulta.program.linkkeys import encode_curve_public
from occulta.program.sections import Apids, Cfdp, Client, Listener
from occulta.program.typed import Faults


@pytest.mark.parametrize(
    ("name", "checksum"),
    [("modular", ChecksumType.MODULAR), ("crc32", ChecksumType.CRC_32),
     ("crc32c", ChecksumType.CRC_32C), ("none", ChecksumType.NULL)],
)
def test_cfdp_settings_become_a_remote(name: Any, checksum: ChecksumType) -> None:
    cfdp = Cfdp(
        max_pdu=512, checksum=name, ack_interval=1.0, nak_interval=2.0, inactivity=3.0,
        reorder_window=0.0,
    )
    assert cfdp.remote(7) == Remote(
        7, max_pdu=512, checksum_type=checksum, ack_interval=1.0, nak_interval=2.0, inactivity=3.0,
        reorder_window=0.0,
    )
    with pytest.raises(ValueError, match="entity 65536 does not fit"):
        cfdp.remote(1 << 16)


def test_cfdp_defaults_are_those_of_a_remote() -> None:
    assert Cfdp().remote(7) == Remote(7)


def test_apids_become_those_of_packets() -> None:
    assert Apids().of_packets() == space_packet.Apids()
    assert Apids(files=7, telemetry=8, commands=9).of_packets() == space_packet.Apids(7, 8, 9)


def test_the_largest_pdu_fits_a_protected_packet() -> None:
    with pytest.raises(Faults, match=r"^max_pdu: expected int 128\.\.65506, got 65507$"):
        parse(b"max_pdu: 65507", Cfdp, Path())
    assert MAX_PLAIN_SIZE == 65_506 + 6
    assert 6 + OVERHEAD == 36  # what the examples say


def test_the_allow_list(tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_bytes(encode_curve_public(bytes(range(32))))
    clients = (Client(name="a", public_key=tmp_path / "a.pub"),)
    assert Listener(clients=clients).allow_list() == {bytes(range(32)): "a"}
    local = Listener(clients=(Client(name="a"), Client(name="b")))
    assert local.allow_list() == {b"a": "a", b"b": "b"}
