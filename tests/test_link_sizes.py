"""PUS packets go over the links of file delivery, however short its PDUs are."""

import pytest

from occulta.link import pus, security
from occulta.link.pus.telecommands import COMMANDS, MAX_NAME
from occulta.link.pus.telemetry import MAX_TEXT
from occulta.link.space_packet import HEADER_SIZE
from occulta.program.channel import OVERHEAD, largest_packet
from occulta.program.sections import Cfdp
from tests.missions import GROUND, LINK, ONBOARD, Mission

LEAST = 128
ID = pus.RequestId(1, 100, 3, 1)
REPORTS = [
    pus.Event(pus.Severity.LOW, 1, 0, "x" * MAX_TEXT),
    pus.Failure(pus.Stage.COMPLETION, ID, 1, "x" * MAX_TEXT),
    pus.link_drops({}),
    pus.Housekeeping(pus.ONBOARD.structure_id, {f.name: 0 for f in pus.ONBOARD.fields}),
]


@pytest.mark.parametrize("report", REPORTS)
def test_every_report_fits_every_link(report):
    packet = pus.encode_telemetry(
        report, apid=101, sequence_count=1, time=1.0, message_count=1, destination=2
    )
    assert len(packet) + security.OVERHEAD <= largest_packet(LEAST)


def test_every_telecommand_fits_every_link():
    command = pus.SetScheme("r" * MAX_NAME, "s" * MAX_NAME, "p" * MAX_NAME)
    packet = pus.encode_telecommand(
        command, apid=102, sequence_count=1, source=2, acknowledge=pus.Ack.COMPLETION
    )
    assert len(packet) + security.OVERHEAD <= largest_packet(LEAST)
    assert len(COMMANDS) == 10  # the one with three names is the longest of these


def test_a_large_pdu_fits_as_before():
    assert largest_packet(1024) == 1024 + OVERHEAD == 1024 + HEADER_SIZE + security.OVERHEAD


def test_the_shortest_pdus_that_a_configuration_may_ask_for(tmp_path):
    """Frames come down, events and housekeeping too, and a telecommand is answered."""
    assert Cfdp(max_pdu=LEAST).max_pdu == LEAST
    with Mission(tmp_path) as mission:
        for program, links in ((ONBOARD, "destinations"), (GROUND, "satellites")):
            with mission.edited(program) as options:
                options[links][0].setdefault("cfdp", {})["max_pdu"] = LEAST
        mission.start(GROUND, ONBOARD, LINK)
        mission.offer()
        mission.until(mission.is_settled)
        assert mission.command("report-housekeeping", structure=2).accepted
        mission.stop()
        assert mission.faults() == [] and mission.troubles() == []
