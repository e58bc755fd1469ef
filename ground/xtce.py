"""The XTCE 1.2 description of telemetry and telecommands, made from the tables of the link.

`python -m ground.xtce > configs/occulta.xtce.xml`. It describes the default APIDs. Names of the
primary header's parameters are those that XTCE readers expect.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from xml.etree import ElementTree as ET

from occulta.link.pus import fields as f
from occulta.link.pus.housekeeping import STRUCTURES, Housekeeping
from occulta.link.pus.packet import PUS_VERSION, TC_HEADER, TM_HEADER, Ack
from occulta.link.pus.telecommands import COMMANDS, Command
from occulta.link.pus.telemetry import REPORTS, Report
from occulta.link.space_packet import UNSEGMENTED, Apids, PacketType

NAMESPACE = "http://www.omg.org/spec/XTCE/20180204"
SCHEMA = "https://www.omg.org/spec/XTCE/20180204/SpaceSystem.xsd"

PRIMARY_HEADER = (
    f.Unsigned("VERSION", 3, "", "Packet version number"),
    f.Unsigned("TYPE", 1, "", "0: telemetry, 1: telecommand"),
    f.Unsigned("SEC_HDR_FLG", 1, "", "1: the packet has a secondary header"),
    f.Unsigned("PKT_APID", 11, "", "Application process identifier"),
    f.Unsigned("SEQ_FLGS", 2, "", "3: unsegmented"),
    f.Unsigned("SRC_SEQ_CTR", 14, "", "Packet sequence count"),
    f.Unsigned("PKT_LEN", 16, "B", "Packet data length, less one"),
)
CHECKSUM = f.Unsigned("packet_error_control", 16, "", "CRC-16 over all octets before it")

_SERVICES = {1: "verification", 3: "housekeeping", 5: "event", 17: "test"}
_COMMAND_NOTE = (
    "Whoever sends a command fills in sequence count and packet length, and appends the packet "
    "error control, a CRC-16 over all octets before it (polynomial 0x1021, preset to ones)."
)
_DEFAULTS = {"acknowledge": str(int(Ack.ALL)), "source": "0"}
_Plain = f.Unsigned | f.Octets | f.Text | f.CucTime


def document() -> str:
    """The whole description: one XML document that ends in a line feed."""
    system = ET.Element("SpaceSystem", {
        "name": "Occulta", "shortDescription": "Privacy payload for imaging satellites",
        "xmlns": NAMESPACE, "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:schemaLocation": f"{NAMESPACE} {SCHEMA}",
    })
    ET.SubElement(system, "Header", {"validationStatus": "Working", "version": "1"})
    _describe_telemetry(ET.SubElement(system, "TelemetryMetaData"))
    _describe_telecommands(ET.SubElement(system, "CommandMetaData"))
    ET.indent(system)
    text = ET.tostring(system, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


# --- parameters and arguments


class _Types:
    """A set of types, for parameters or arguments; each is described when first asked for."""

    def __init__(self, kind: str, parent: ET.Element) -> None:
        self.kind = kind
        self._set = ET.SubElement(parent, f"{kind}TypeSet")
        self._known: set[str] = set()

    def name_for(self, field: _Plain, name: str) -> str:
        """The name of the type of a field that is called `name`."""
        if isinstance(field, f.Unsigned):
            found = f"u{field.bits}_{field.unit}" if field.unit else f"u{field.bits}"
        elif isinstance(field, f.Octets):
            found = f"octets{field.size}"
        else:
            found = f"{name}_type"
        if found not in self._known:
            self._known.add(found)
            self._describe(found, field, name)
        return found

    def _describe(self, name: str, field: _Plain, user: str) -> None:
        if isinstance(field, f.Unsigned):
            self._unsigned(name, field)
        elif isinstance(field, f.Octets):
            size = _path(self._new("Binary", name), "BinaryDataEncoding", "SizeInBits")
            ET.SubElement(size, "FixedValue").text = str(8 * field.size)
        elif isinstance(field, f.Text):
            self._text(name, field.most, _length_of(user))
        else:
            self._time(name)

    def _unsigned(self, name: str, field: f.Unsigned) -> None:
        size = "64" if field.bits > 32 else "32"
        new = self._new("Integer", name, signed="false", sizeInBits=size)
        if field.unit:
            _path(new, "UnitSet", "Unit").text = field.unit
        _unsigned_encoding(new, field.bits)

    def _text(self, name: str, most: int, length: str) -> None:
        encoding = ET.SubElement(
            self._new("String", name), "StringDataEncoding", {"encoding": "UTF-8"}
        )
        size = ET.SubElement(encoding, "Variable", {"maxSizeInBits": str(8 * most)})
        value = ET.SubElement(size, "DynamicValue")
        ET.SubElement(value, f"{self.kind}InstanceRef", {f"{self.kind.lower()}Ref": length})
        ET.SubElement(value, "LinearAdjustment", {"slope": "8", "intercept": "0"})

    def _time(self, name: str) -> None:
        new = self._new("AbsoluteTime", name)
        scale = repr(2.0**-f.TIME_FRACTION_BITS)
        encoding = ET.SubElement(new, "Encoding", {"units": "seconds", "scale": scale})
        _unsigned_encoding(encoding, f.TIME_SECONDS_BITS + f.TIME_FRACTION_BITS)
        _path(new, "ReferenceTime", "Epoch").text = "UNIX"

    def _new(self, element: str, name: str, **attributes: str) -> ET.Element:
        tag = f"{element}{self.kind}Type"
        return ET.SubElement(self._set, tag, {"name": name, **attributes})


class _Items:
    """A set of parameters, or the arguments of one command; each is described once."""

    def __init__(self, types: _Types, parent: ET.Element) -> None:
        self._types = types
        self._set = parent
        self._known: dict[str, _Plain] = {}

    def refer(self, entries: ET.Element, fields: Iterable[f.Field], prefix: str = "") -> None:
        """Add an entry for each field, in order, and describe the fields not yet described."""
        for field in fields:
            name = prefix + field.name
            if isinstance(field, f.Record):
                self.refer(entries, field.fields, f"{name}_")
                continue
            if isinstance(field, f.Text):
                self.refer(entries, [f.Unsigned(_length_of(name), 8, "B", f"Size of {name}")])
            self._describe(name, field)
            kind = self._types.kind
            ET.SubElement(entries, f"{kind}RefEntry", {f"{kind.lower()}Ref": name})

    def _describe(self, name: str, field: _Plain) -> None:
        if name in self._known:
            if self._known[name] != field:
                raise ValueError(f"{name} has two meanings")
            return
        self._known[name] = field
        kind = self._types.kind
        ET.SubElement(self._set, kind, {
            "name": name, f"{kind.lower()}TypeRef": self._types.name_for(field, name),
            "shortDescription": field.description,
        })


def _length_of(text: str) -> str:
    return f"{text}_length"


def _unsigned_encoding(parent: ET.Element, bits: int) -> None:
    attributes = {"sizeInBits": str(bits), "encoding": "unsigned"}
    ET.SubElement(parent, "IntegerDataEncoding", attributes)


def _path(parent: ET.Element, *tags: str) -> ET.Element:
    for tag in tags:
        parent = ET.SubElement(parent, tag)
    return parent


# --- telemetry


def _describe_telemetry(metadata: ET.Element) -> None:
    parameters = _Items(_Types("Parameter", metadata), ET.SubElement(metadata, "ParameterSet"))
    containers = ET.SubElement(metadata, "ContainerSet")

    packet = _container(containers, "CCSDSPacket", "A space packet", abstract=True)
    parameters.refer(packet, PRIMARY_HEADER)
    where = {"TYPE": PacketType.TM, "SEC_HDR_FLG": 1, "PKT_APID": Apids().telemetry}
    report = _container(
        containers, "PUS_TM", "A PUS-C report", "CCSDSPacket", where, abstract=True
    )
    parameters.refer(report, TM_HEADER)
    for layout in REPORTS:
        _describe_report(layout, containers, parameters)


def _describe_report(layout: f.Layout[Report], containers: ET.Element, parameters: _Items) -> None:
    name = f"TM_{layout.service}_{layout.subtype}_{layout.name}"
    where = {"service_type": layout.service, "message_subtype": layout.subtype}
    is_housekeeping = layout.make is Housekeeping
    entries = _container(
        containers, name, layout.description, "PUS_TM", where, abstract=is_housekeeping
    )
    parameters.refer(entries, layout.fields, f"{_SERVICES[layout.service]}_")
    if is_housekeeping:
        _describe_structures(name, containers, parameters)
    else:
        parameters.refer(entries, [CHECKSUM])


def _describe_structures(base: str, containers: ET.Element, parameters: _Items) -> None:
    for structure in STRUCTURES.values():
        where = {"housekeeping_structure_id": structure.structure_id}
        name = f"TM_3_25_{structure.structure_id}_{structure.name}"
        entries = _container(containers, name, structure.description, base, where)
        parameters.refer(entries, structure.fields, f"{structure.name}_")
        parameters.refer(entries, [CHECKSUM])


def _container(
    containers: ET.Element, name: str, description: str, base: str = "",
    where: Mapping[str, int] = MappingProxyType({}), *, abstract: bool = False,
) -> ET.Element:
    """A new container, a kind of `base` where the parameters have those values; its entries."""
    new = ET.SubElement(containers, "SequenceContainer", {
        "name": name, "shortDescription": description, "abstract": str(abstract).lower(),
    })
    entries = ET.SubElement(new, "EntryList")
    if base:
        above = ET.SubElement(new, "BaseContainer", {"containerRef": base})
        comparisons = _path(above, "RestrictionCriteria", "ComparisonList")
        for parameter, value in where.items():
            attributes = {"parameterRef": parameter, "value": str(int(value))}
            ET.SubElement(comparisons, "Comparison", attributes)
    return entries


# --- telecommands


def _describe_telecommands(metadata: ET.Element) -> None:
    types = _Types("Argument", metadata)
    commands = ET.SubElement(metadata, "MetaCommandSet")
    _describe_request(commands, types)
    for layout in COMMANDS:
        _describe_command(layout, commands, types)


def _describe_request(commands: ET.Element, types: _Types) -> None:
    request = ET.SubElement(commands, "MetaCommand", {
        "name": "PUS_TC", "shortDescription": "A PUS-C request", "abstract": "true",
    })
    ET.SubElement(request, "LongDescription").text = _COMMAND_NOTE
    arguments = ET.SubElement(request, "ArgumentList")
    container = ET.SubElement(request, "CommandContainer", {"name": "PUS_TC"})
    entries = ET.SubElement(container, "EntryList")
    fixed = {
        "TYPE": PacketType.TC, "SEC_HDR_FLG": 1, "PKT_APID": Apids().commands,
        "SEQ_FLGS": UNSEGMENTED,
    }
    for field in PRIMARY_HEADER:
        _fixed(entries, field, fixed.get(field.name, 0))
    version, *rest = TC_HEADER
    assert isinstance(version, f.Unsigned)
    _fixed(entries, version, PUS_VERSION)
    _Items(types, arguments).refer(entries, rest)
    for argument in arguments:
        if argument.attrib["name"] in _DEFAULTS:
            argument.set("initialValue", _DEFAULTS[argument.attrib["name"]])


def _describe_command(layout: f.Layout[Command], commands: ET.Element, types: _Types) -> None:
    command = ET.SubElement(commands, "MetaCommand", {
        "name": layout.name, "shortDescription": layout.description,
    })
    base = ET.SubElement(command, "BaseMetaCommand", {"metaCommandRef": "PUS_TC"})
    assignments = ET.SubElement(base, "ArgumentAssignmentList")
    assigned = {"service_type": layout.service, "message_subtype": layout.subtype}
    for argument, value in assigned.items():
        attributes = {"argumentName": argument, "argumentValue": str(value)}
        ET.SubElement(assignments, "ArgumentAssignment", attributes)
    arguments = ET.Element("ArgumentList")
    container = ET.Element("CommandContainer", {"name": layout.name})
    _Items(types, arguments).refer(ET.SubElement(container, "EntryList"), layout.fields)
    ET.SubElement(container, "BaseContainer", {"containerRef": "PUS_TC"})
    # An empty list of arguments is not valid.
    command.extend([arguments, container] if layout.fields else [container])


def _fixed(entries: ET.Element, field: f.Unsigned, value: int) -> None:
    octets = (field.bits + 7) // 8
    ET.SubElement(entries, "FixedValueEntry", {
        "name": field.name, "binaryValue": value.to_bytes(octets, "big").hex(),
        "sizeInBits": str(field.bits),
    })


if __name__ == "__main__":
    sys.stdout.write(document())
