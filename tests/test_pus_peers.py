"""PUS against an independent library: each side reads what the other wrote."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from spacepackets.ecss import PusTc, PusTm
from spacepackets.ecss import pus_1_verification as verification
from spacepackets.ecss import tm as peer
from spacepackets.ecss.fields import PacketFieldU16
from spacepackets.ecss.req_id import RequestId

from occulta.link import pus
from tests.pus_support import (
    ANY_COMMAND,
    ANY_REPORT,
    COMMAND_APID,
    REQUEST,
    TELEMETRY_APID,
    TIME,
    telecommand,
    telemetry,
)

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=100)
TIMESTAMP = struct.pack(">IH", int(TIME), 0x4000)
MANAGED = peer.ManagedParams(timestamp_len=6)
FAILURE_CODE = verification.ManagedParamsVerification(bytes_err_code=2)


@given(ANY_REPORT)
@EXAMPLES
def test_a_peer_reads_our_telemetry(report: pus.Report) -> None:
    packet = telemetry(report)
    read = PusTm.unpack(packet, timestamp_len=6)
    header = read.pus_tm_sec_header
    assert (read.service, read.message_subtype) == report.message_type
    assert (read.apid, read.seq_count) == (TELEMETRY_APID, 5)
    assert (header.message_counter, header.dest_id, header.spacecraft_time_ref) == (3, 9, 1)
    assert read.timestamp == TIMESTAMP
    assert read.source_data == packet[19:-2]


@given(ANY_REPORT)
@EXAMPLES
def test_we_read_a_peers_telemetry(report: pus.Report) -> None:
    ours = telemetry(report)
    service, subtype = report.message_type
    theirs = PusTm(
        service, subtype, TIMESTAMP, source_data=ours[19:-2], apid=TELEMETRY_APID, seq_count=5,
        message_counter=3, destination_id=9, misc_params=peer.MiscParams(spacecraft_time_ref=1),
    )
    assert bytes(theirs.pack()) == ours
    assert pus.decode_telemetry(bytes(theirs.pack())).report == report


@given(ANY_COMMAND)
@EXAMPLES
def test_a_peer_reads_our_telecommands(command: pus.Command) -> None:
    packet = telecommand(command)
    read = PusTc.unpack(packet)
    assert (read.service, read.message_subtype) == command.message_type
    assert (read.apid, read.seq_count, read.source_id) == (COMMAND_APID, 6, 8)
    assert read.pus_tc_sec_header.ack_flags == pus.Ack.ACCEPTANCE
    assert read.app_data == packet[11:-2]


@given(ANY_COMMAND)
@EXAMPLES
def test_we_read_a_peers_telecommands(command: pus.Command) -> None:
    ours = telecommand(command)
    service, subtype = command.message_type
    theirs = PusTc(
        service, subtype, apid=COMMAND_APID, app_data=ours[11:-2], seq_count=6, source_id=8,
        ack_flags=1,
    )
    assert bytes(theirs.pack()) == ours
    read = pus.decode_telecommand(bytes(theirs.pack()))
    assert read == pus.Telecommand(
        pus.RequestId(COMMAND_APID, 6), pus.Ack.ACCEPTANCE, 8, command
    )


@pytest.mark.parametrize("stage", pus.Stage)
def test_a_peer_reads_our_verification_reports(stage: pus.Stage) -> None:
    success = verification.Service1Tm.unpack(
        telemetry(pus.Success(stage, REQUEST)), MANAGED, FAILURE_CODE
    )
    assert not success.has_failure_notice
    assert success.tc_req_id.as_u32() == 0x1866D234
    failure = verification.Service1Tm.unpack(
        telemetry(pus.Failure(stage, REQUEST, 404, "no")), MANAGED, FAILURE_CODE
    )
    assert failure.has_failure_notice
    assert failure.tc_req_id.as_u32() == 0x1866D234
    assert failure.error_code is not None
    assert failure.error_code.val == 404
    assert failure.failure_notice is not None
    assert failure.failure_notice.data == b"\x02no"


@pytest.mark.parametrize("stage", pus.Stage)
def test_we_read_a_peers_verification_reports(stage: pus.Stage) -> None:
    tc = PusTc(17, 1, apid=COMMAND_APID, seq_count=0x1234)
    request = RequestId.from_pus_tc(tc)
    success = verification.Service1Tm(
        TELEMETRY_APID, verification.MessageSubtype(stage), TIMESTAMP,
        verification.VerificationParams(request),
    )
    read = pus.decode_telemetry(bytes(success.pack()))
    assert read.report == pus.Success(stage, pus.RequestId.of(bytes(tc.pack())))
    assert read.time == TIME
    notice = verification.FailureNotice(PacketFieldU16(7), b"\x03yes")
    failure = verification.Service1Tm(
        TELEMETRY_APID, verification.MessageSubtype(stage + 1), TIMESTAMP,
        verification.VerificationParams(request, failure_notice=notice),
    )
    assert pus.decode_telemetry(bytes(failure.pack())).report == pus.Failure(
        stage, REQUEST, 7, "yes"
    )
