"""The XTCE file: an independent reader gets from it, out of our packets, what we put in.

Proves that the file is what the tables give, valid XTCE 1.2, that every report decodes to the same
values by it alone, and that the commands it describes have the octets of ours.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from space_packet_parser.exceptions import UnrecognizedPacketTypeError
from space_packet_parser.xtce.definitions import XtcePacketDefinition
from space_packet_parser.xtce.validation import validate_xtce

from ground import xtce
from occulta.link import pus
from occulta.link.pus.housekeeping import STRUCTURES
from occulta.link.pus.telecommands import COMMANDS as LAYOUTS
from occulta.link.pus.telemetry import REPORTS as REPORT_LAYOUTS
from occulta.link.space_packet import SpacePacket
from tests.pus_support import (
    ANY_COMMAND,
    ANY_REPORT,
    COMMANDS,
    REPORTS,
    REQUEST,
    TELEMETRY_APID,
    TIME,
    telecommand,
    telemetry,
)

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=100)
ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "configs" / "occulta.xtce.xml"
DEFINITION = XtcePacketDefinition.from_xtce(FILE)
XTCE = {"": xtce.NAMESPACE}
DOCUMENT = ET.parse(FILE).getroot()


# --- the file


def test_the_file_is_what_the_module_prints() -> None:
    command = [sys.executable, "-m", "ground.xtce"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert printed.stdout == FILE.read_bytes(), "run: python -m ground.xtce > " + FILE.name


def test_the_file_is_valid_xtce() -> None:
    assert DOCUMENT.tag == "{http://www.omg.org/spec/XTCE/20180204}SpaceSystem"
    result = validate_xtce(
        FILE, level="schema", print_results=False, raise_on_error=False,
        allow_schema_download=False,
    )
    assert result.errors == []
    assert result.valid


def test_every_report_and_structure_has_a_container_and_every_command_a_name() -> None:
    containers = {
        *(f"TM_{each.service}_{each.subtype}_{each.name}" for each in REPORT_LAYOUTS),
        *(f"TM_3_25_{each.structure_id}_{each.name}" for each in STRUCTURES.values()),
    }
    assert set(DEFINITION.containers) == containers | {"CCSDSPacket", "PUS_TM"}
    commands = {each.get("name") for each in DOCUMENT.iterfind(".//MetaCommand", XTCE)}
    assert commands == {each.name for each in LAYOUTS} | {"PUS_TC"}


def test_parameters_carry_their_units() -> None:
    units = {name: each.parameter_type.unit for name, each in DEFINITION.parameters.items()}
    assert units["onboard_uptime"] == "s"
    assert units["onboard_spool_bytes"] == "B"
    assert units["onboard_resident_kib"] == "KiB"
    assert units["onboard_contact"] is None
    assert units["time"] == "seconds"


# --- telemetry


def request_values(request: pus.RequestId) -> dict[str, object]:
    names = (
        "version", "packet_type", "secondary_header", "apid", "sequence_flags", "sequence_count",
    )
    return {f"verification_request_{name}": getattr(request, name) for name in names}


def report_values(report: pus.Report) -> dict[str, object]:
    match report:
        case pus.Success(_, request):
            return request_values(request)
        case pus.Failure(_, request, code, detail):
            return request_values(request) | {
                "verification_code": code, "verification_detail": detail,
                "verification_detail_length": len(detail.encode()),
            }
        case pus.Event(_, definition_id, parameter, text):
            return {
                "event_definition_id": definition_id, "event_parameter": parameter,
                "event_text": text, "event_text_length": len(text.encode()),
            }
        case pus.Housekeeping(structure_id, values):
            prefix = {1: "onboard", 2: "link_drops"}[structure_id]
            own = {f"{prefix}_{name}": value for name, value in values.items()}
            return own | {"housekeeping_structure_id": structure_id}
        case pus.Alive():
            return {}


def packet_values(packet: bytes, report: pus.Report) -> dict[str, object]:
    service, subtype = report.message_type
    return {
        "VERSION": 0, "TYPE": 0, "SEC_HDR_FLG": 1, "PKT_APID": TELEMETRY_APID, "SEQ_FLGS": 3,
        "SRC_SEQ_CTR": 5, "PKT_LEN": len(packet) - 7, "pus_version": 2, "time_status": 1,
        "service_type": service, "message_subtype": subtype, "message_count": 3,
        "destination": 9, "time": TIME,
        "packet_error_control": int.from_bytes(packet[-2:], "big"),
    }


def assert_described(report: pus.Report) -> None:
    packet = telemetry(report)
    assert dict(DEFINITION.parse_bytes(packet)) == (
        packet_values(packet, report) | report_values(report)
    )


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_reads_the_same_by_the_file_alone(report: pus.Report) -> None:
    assert_described(report)


@given(ANY_REPORT)
@EXAMPLES
def test_any_report_reads_the_same_by_the_file_alone(report: pus.Report) -> None:
    assert_described(report)


@pytest.mark.parametrize("time", [0.0, 2**-16, 2**32 - 2**-16])
def test_the_time_reads_the_same(time: float) -> None:
    read = DEFINITION.parse_bytes(telemetry(pus.Alive(), time=time))
    assert read["time"] == time
    assert read["time"].raw_value == time * 65536


@pytest.mark.parametrize(
    "packet",
    [
        telemetry(pus.Alive(), apid=100),
        telecommand(pus.AreYouAlive()),
        telecommand(pus.AreYouAlive(), apid=TELEMETRY_APID),
        SpacePacket.decode(telemetry(pus.Alive())).data,
    ],
    ids=["other APID", "telecommand", "telecommand of the APID", "no packet"],
)
def test_what_is_no_telemetry_is_not_described(packet: bytes) -> None:
    with pytest.raises(UnrecognizedPacketTypeError):
        DEFINITION.parse_bytes(packet)


# --- telecommands


def find(name: str) -> ET.Element:
    (command,) = DOCUMENT.iterfind(f".//MetaCommand[@name='{name}']", XTCE)
    return command


def argument_bits(command: ET.Element, name: str, values: dict[str, object]) -> str:
    """An argument in bits, by its type in the file."""
    (argument,) = command.iterfind(f".//Argument[@name='{name}']", XTCE)
    kind = argument.get("argumentTypeRef")
    (described,) = DOCUMENT.iterfind(f".//ArgumentTypeSet/*[@name='{kind}']", XTCE)
    value = values[name]
    if isinstance(value, int):
        (encoding,) = described.iterfind(".//IntegerDataEncoding", XTCE)
        return format(value, f"0{encoding.attrib['sizeInBits']}b")
    if isinstance(value, str):
        (reference,) = described.iterfind(".//ArgumentInstanceRef", XTCE)
        (slope,) = described.iterfind(".//LinearAdjustment", XTCE)
        data, length = value.encode(), values[reference.attrib["argumentRef"]]
        assert 8 * len(data) == length * int(slope.attrib["slope"])
    else:
        assert isinstance(value, bytes)
        data = value
        assert described.findtext(".//FixedValue", None, XTCE) == str(8 * len(data))
    return "".join(format(octet, "08b") for octet in data)


def entry_bits(command: ET.Element, values: dict[str, object]) -> str:
    """A command's own entries in bits, by the file."""
    bits = ""
    for entry in command.iterfind("CommandContainer/EntryList/*", XTCE):
        if entry.tag.endswith("}FixedValueEntry"):
            value = int(entry.attrib["binaryValue"], 16)
            bits += format(value, f"0{entry.attrib['sizeInBits']}b")
        else:
            bits += argument_bits(command, entry.attrib["argumentRef"], values)
    return bits


def built(name: str, values: dict[str, object]) -> bytes:
    """A command as whoever reads the file makes it, before count, length and checksum."""
    command, base = find(name), find("PUS_TC")
    assigned = {
        each.attrib["argumentName"]: int(each.attrib["argumentValue"])
        for each in command.iterfind(".//ArgumentAssignment", XTCE)
    }
    bits = entry_bits(base, values | assigned) + entry_bits(command, values)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def assert_built(command: pus.Command) -> None:
    (layout,) = (each for each in LAYOUTS if each.make is type(command))
    values: dict[str, object] = {"acknowledge": 1, "source": 8}
    for field in layout.fields:
        value = values[field.name] = getattr(command, field.name)
        if isinstance(value, str):
            values[f"{field.name}_length"] = len(value.encode())
    ours = bytearray(telecommand(command, sequence_count=0)[:-2])
    ours[4:6] = bytes(2)
    assert built(layout.name, values) == ours


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_built_by_the_file_alone_is_ours(command: pus.Command) -> None:
    assert_built(command)


@given(ANY_COMMAND)
@EXAMPLES
def test_any_command_built_by_the_file_alone_is_ours(command: pus.Command) -> None:
    assert_built(command)


def test_a_command_asks_for_every_success_unless_told_otherwise() -> None:
    defaults = {
        each.attrib["name"]: each.get("initialValue")
        for each in find("PUS_TC").iterfind(".//Argument", XTCE)
    }
    assert defaults == {
        "acknowledge": "15", "service_type": None, "message_subtype": None, "source": "0",
    }


def test_the_request_id_is_described_field_by_field() -> None:
    read = DEFINITION.parse_bytes(telemetry(pus.Success(pus.Stage.COMPLETION, REQUEST)))
    assert read["verification_request_apid"] == 102
    assert read["verification_request_sequence_count"] == 0x1234
