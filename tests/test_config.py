"""Configuration files: read into typed structures, refused with every fault and its place."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.config import GroundConfig
from occulta.errors import OccultaError, Reason
from occulta.program.config import MAX_FAULTS, MAX_SIZE, load, parse
from occulta.program.typed import Faults, Section
from onboard.config import LAST_RULES, Contact, OnboardConfig, Rule
from tests.cli import ROOT

KINDS: dict[str, type[Section]] = {"onboard": OnboardConfig, "ground": GroundConfig}
EXAMPLES = {name: ROOT / "configs" / f"{name}.yaml" for name in KINDS}
DOCUMENTS = {name: yaml.safe_load(path.read_text()) for name, path in EXAMPLES.items()}
HERE = Path("/mission")
DELETE = object()
programs = pytest.mark.parametrize("program", KINDS)


def changed(program: str, changes: dict[str, object]) -> Any:
    """The example with other values at places such as `destinations.0.rate`."""
    document = deepcopy(DOCUMENTS[program])
    for place, value in changes.items():
        *above, last = [int(word) if word.isdigit() else word for word in place.split(".")]
        inner = document
        for word in above:
            inner = inner[word]
        if value is DELETE:
            del inner[last]
        else:
            inner[last] = value
    return document


def twice(items: list[Any]) -> list[Any]:
    return items + deepcopy(items)  # the same objects would become aliases in YAML


def read(program: str, **changes: object) -> Any:
    """The example's structure, `__` standing for a period in the places changed."""
    places = {place.replace("__", "."): value for place, value in changes.items()}
    content = yaml.safe_dump(changed(program, places)).encode()
    return parse(content, KINDS[program], HERE)


def faults(program: str, **changes: object) -> list[str]:
    with pytest.raises(Faults) as refused:
        read(program, **changes)
    return [str(fault) for fault in refused.value.found]


def refused(text: str | bytes) -> list[str]:
    """Faults of a text that is no configuration whatever the kind."""
    with pytest.raises(Faults) as found:
        parse(text if isinstance(text, bytes) else text.encode(), OnboardConfig, HERE)
    return [str(fault) for fault in found.value.found]


# --- the file


def test_a_file_and_its_paths() -> None:
    found = load(EXAMPLES["onboard"], OnboardConfig)
    assert found.state_dir == ROOT / "configs" / "state"
    assert found.recipients == (ROOT / "configs" / "recipient.pub",)
    assert found.private.bind == f"ipc://{ROOT}/configs/private.ipc"
    assert found.destinations[0].address == "tcp://127.0.0.1:7301"
    assert read("onboard", spool_dir="/var/spool").spool_dir == Path("/var/spool")
    assert read("onboard", spool_dir="$HOME/~").spool_dir == Path("/mission/$HOME/~")


def test_the_detail_names_the_file_and_then_a_fault_in_each_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.yaml"
    document = changed("onboard", {"entity": "x", "spool.max_items": 0})
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(OccultaError) as refused:
        load(path, OnboardConfig)
    assert refused.value.reason is Reason.CONFIG_INVALID == 207
    assert refused.value.detail.split("\n") == [
        f"the configuration {tmp_path}/two\\nlines.yaml cannot be used",
        'entity: expected int 0..65535, got "x"',
        "spool.max_items: expected int 1..1000000, got 0",
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [("missing", "it cannot be read: No such file or directory"),
     (".", "it cannot be read: Is a directory")],
)
def test_a_file_that_cannot_be_read(name: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(OccultaError) as refused:
        load(str(tmp_path / name), GroundConfig)
    assert refused.value.reason is Reason.CONFIG_INVALID
    assert refused.value.detail.split("\n")[1:] == [fault]


def test_a_file_of_the_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    content = EXAMPLES["ground"].read_bytes()
    path.write_bytes(content + b"#" * (MAX_SIZE - len(content)))
    assert load(path, GroundConfig).entity == 2
    path.write_bytes(content + b"#" * (MAX_SIZE + 1 - len(content)))
    with pytest.raises(OccultaError) as refused:
        load(path, GroundConfig)
    assert refused.value.detail.split("\n")[1:] == ["it is longer than 1048576 bytes"]


def test_more_faults_than_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text("".join(f"unknown_{number}: 1\n" for number in range(200)))
    with pytest.raises(OccultaError) as refused:
        load(path, GroundConfig)
    lines = refused.value.detail.split("\n")
    assert lines[1] == "unknown_0: unknown"
    assert len(lines) == MAX_FAULTS + 2
    assert lines[-1] == "and 103 more"  # the three that are required are missing too


# --- YAML


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["expected mapping, got null"]),
        ("- 1", ["expected mapping, got a list"]),
        ("a: 1\nb: [1, 2", ["line 2: while parsing a flow sequence, expected ',' or ']', "
                           "but got '<stream end>'"]),
        ("a: {}\nb: &name {}\n", ["line 2: anchors, aliases and tags are not supported"]),
        ("a: !!python/name:os.system x", ["line 1: anchors, aliases and tags are not supported"]),
        ("a: 1\n---\nb: 2\n", ["line 2: expected a single document in the stream, "
                              "but found another document"]),
        ("<<: {entity: 1}", ["line 1: could not determine a constructor for the tag "
                             "'tag:yaml.org,2002:merge'"]),
        ("? [a]\n: 1", ["line 1: while constructing a mapping, found unhashable key"]),
        (b"a: \xff", ["byte 3 is not UTF-8"]),
        ("a: \x07", ["special characters are not allowed (character 3)"]),
        ("a: 0x_", ["invalid literal for int() with base 16: ''"]),
        ("[" * 10_000, ["it is nested too deeply"]),
    ],
)
def test_what_is_not_plain_yaml(text: str | bytes, expected: list[str]) -> None:
    assert refused(text) == expected


def test_keys_given_twice_are_found_with_all_other_faults() -> None:
    text = EXAMPLES["ground"].read_text() + "entity: 3\nlog_level: loud\nmore: {a: 1, 'a': 2}\n"
    at = text.count("\n")
    with pytest.raises(Faults) as refused:
        parse(text.encode(), GroundConfig, HERE)
    first = [text.splitlines().index(line) + 1 for line in ("entity: 2", "log_level: info")]
    assert [str(fault) for fault in refused.value.found] == [
        f"line {at - 2}: entity: given twice, first in line {first[0]}",
        f"line {at - 1}: log_level: given twice, first in line {first[1]}",
        f"line {at}: a: given twice, first in line {at}",
        "more: unknown",
        'log_level: expected "debug" or "info" or "warning" or "error", got "loud"',
    ]


# --- faults of values


def test_all_faults_at_once_each_with_its_place() -> None:
    found = faults(
        "onboard", state_dir=DELETE, spol_dir="x", rules__0__scheme="none", recipients=[],
        camera__window_bytes="many", camera__clients__0__name="a b", private__max_items=True,
        destinations__0__contacts=[[1, 2], [5, 4], [6]], destinations__0__cfdp__max_pdus=512,
        telemetry=None, apids__files=4096, spool=[1],
    )
    assert sorted(found) == sorted([
        "spol_dir: unknown; did you mean spool_dir?",
        "state_dir: missing",
        "recipients: expected at least 1 items, got 0",
        "destinations[0].contacts[1]: expected an end after the start, got a list",
        "destinations[0].contacts[2]: expected [start, end] in seconds since 1970, got a list",
        "destinations[0].cfdp.max_pdus: unknown; did you mean max_pdu?",
        'camera.window_bytes: expected int 65536..268435456, got "many"',
        "camera.clients[0].name: expected 1 to 64 of A-Z, a-z, 0-9, period, underscore, hyphen,"
        ' got "a b"',
        "private.max_items: expected int 1..1000000, got true",
        'rules[0].scheme: expected "reversible" or "sealed" or "plain" or "shares", got "none"',
        "telemetry: expected mapping, got null",
        "apids.files: expected int 0..2046, got 4096",
        "spool: expected mapping, got a list",
    ])


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("private_share", 0.51, "number 0..0.5, got 0.51"),
        ("private_share", float("nan"), "number 0..0.5, got NaN"),
        ("private_share", "1e-2", 'number 0..0.5, got "1e-2"'),
        ("camera.frame_timeout", 0, "number above 0 up to 86400, got 0"),
        ("entity", 1.0, "int 0..65535, got 1.0"),
        ("entity", 1 << 70, "int 0..65535, got 0x400000000000000000"),
        ("health_file", "", 'path or null, got ""'),
        ("health_file", "a\nb", 'path or null, got "a\\nb"'),
        ("health_file", 7, "path or null, got 7"),
        ("log_level", "x" * 99, f'"debug" or "info" or "warning" or "error", got "{"x" * 59}...'),
        ("destinations.0.contacts", "now", '"always" or "connected" or list, got "now"'),
        ("destinations.0.contacts", {}, '"always" or "connected" or list, got a mapping'),
        ("destinations.0.rate", [1], "int 1..1000000000000 or null, got a list"),
        ("destinations", {"entity": 1}, "list, got a mapping"),
        ("rules.0.labels", [1], "mapping, got a list"),
        ("rules.0.labels.mode", 5, "string, got 5"),
        ("rules.0.sensitive", "yes", 'true or false or null, got "yes"'),
        ("rules.0.camera", "a b", "camera's name, or a pattern of *, ? and [...], got \"a b\""),
        ("private.bind", 5, "ipc://PATH or tcp://HOST:PORT, got 5"),
    ],
)
def test_one_wrong_value(place: str, value: object, expected: str) -> None:
    where = place.replace(".0", "[0]")
    assert faults("onboard", **{place: value}) == [f"{where}: expected {expected}"]


def test_keys_that_are_no_names() -> None:
    text = EXAMPLES["ground"].read_text() + '3: 1\n"a\\nb": 1\nnull: 1\n'
    with pytest.raises(Faults) as refused:
        parse(text.encode(), GroundConfig, HERE)
    assert [str(fault) for fault in refused.value.found] == [
        "3: unknown", '"a\\nb": unknown', "null: unknown",
    ]


@pytest.mark.parametrize("address", [
    "tcp://127.0.0.1:7", "tcp://*:65535", "tcp://host.example:0", "tcp://eth0:*", "ipc:///run/x",
])
def test_addresses(address: str) -> None:
    found = read("onboard", camera__bind=address).camera.bind
    assert found == address
    assert found.is_ipc is address.startswith("ipc")
    assert found.is_definite is (address in ("tcp://127.0.0.1:7", "ipc:///run/x"))


@pytest.mark.parametrize("address", [
    "", "tcp://", "tcp://host", "tcp://host:65536", "tcp://ho st:1", "tcp://[::1]:7", "udp://h:1",
    "inproc://x", "ipc://", "ipc://@abstract", "ipc://*", "ipc://a\nb", "tcp://h:1\n",
])
def test_what_is_no_address(address: str) -> None:
    (fault,) = faults("onboard", camera__bind=address)
    assert fault.startswith("camera.bind: expected ipc://PATH or tcp://HOST:PORT, got ")


def test_a_socket_path_that_the_system_cannot_take() -> None:
    longest = "/" + "a" * 106
    assert read("ground", console=f"ipc://{longest}").console == f"ipc://{longest}"
    (fault,) = faults("ground", console=f"ipc://{longest}a")
    assert fault.startswith(f"console: expected a path of at most 107 bytes: {longest}a, got ")


# --- fields that contradict each other


@pytest.mark.parametrize(
    ("program", "changes", "expected"),
    [
        ("onboard", {"rules.0.sensitive": None},
         ["rules[0].scheme: plain is for frames with `sensitive: false` alone"]),
        ("onboard", {"rules.0.sensitive": True},
         ["rules[0].scheme: plain is for frames with `sensitive: false` alone"]),
        ("onboard", {"rules": [{"name": name, "scheme": "sealed"} for name in (
            "a", None, "last", "a", None)]},
         [f"rules[{index}].name: is another rule's" for index in (0, 2, 3)]),
        ("onboard", {"camera.secret_key": None},
         ["camera.secret_key: missing: tcp needs CURVE keys",
          "camera.clients[0].public_key: useless without a secret_key"]),
        ("onboard", {"private.secret_key": "k"},
         ["private.clients[0].public_key: missing: the server has a secret_key"]),
        ("onboard", {"private.clients": []}, ["private.clients: missing: nobody may connect"]),
        ("onboard", {"camera.clients.0.name": "folder", "private.clients.0.name": "folder"},
         ["camera.clients[0].name: is the watched folder's",
          "private.clients[0].name: is the watched folder's"]),
        ("onboard", {"destinations.0.address": "tcp://*:7"},
         ["destinations[0].address: needs a host and a port to connect to"]),
        ("onboard", {"destinations.0.address": "tcp://host:00"},
         ["destinations[0].address: needs a host and a port to connect to"]),
        ("onboard", {"destinations.0.contacts": [[1, 3], [3, 4], [2, 5]]},
         ["destinations[0].contacts[2]: starts before the one above has ended"]),
        ("onboard", {"destinations.0.entity": 1},
         ["destinations[0].entity: is the satellite's own"]),
        ("onboard", {"apids.files": 102},
         ["apids: files, telemetry and commands need three different APIDs"]),
        ("onboard", {"destinations": twice(DOCUMENTS["onboard"]["destinations"])},
         ["destinations[1].entity: is another destination's",
          "destinations[1].name: is another destination's",
          "destinations[1].link_keys: is another destination's"]),
        ("ground", {"satellites": twice(DOCUMENTS["ground"]["satellites"]), "console": "tcp://h:1"},
         ["console: expected ipc://PATH",
          "satellites[1].entity: is another satellite's",
          "satellites[1].name: is another satellite's",
          "satellites[1].link_keys: is another satellite's"]),
        ("ground", {"satellites.0.entity": 2}, ["satellites[0].entity: is the ground's own"]),
        ("ground", {"satellites.0.clients.0.public_key": None},
         ["satellites[0].clients[0].public_key: missing: the server has a secret_key"]),
        ("ground", {"satellites.0.secret_key": None},
         ["satellites[0].secret_key: expected path, got null"]),
    ],
)
def test_contradictions(program: str, changes: dict[str, Any], expected: list[str]) -> None:
    assert faults(program, **changes) == expected


def destinations(*names: str) -> list[dict[str, Any]]:
    return [
        deepcopy(DOCUMENTS["onboard"]["destinations"][0])
        | {"entity": number, "name": name, "link_keys": name}
        for number, name in enumerate(names, 2)
    ]


def shared(*holders: str, **options: Any) -> dict[str, Any]:
    return {"scheme": "shares", "holders": list(holders)} | options


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (shared(), ["holders: shares need at least two destinations"]),
        (shared("ground"), ["holders: shares need at least two destinations"]),
        (shared("ground", scheme="sealed"), ["holders: shares need at least two destinations"]),
        ({"scheme": "sealed", "threshold": 2}, ["holders: shares need at least two destinations"]),
        (shared("ground", "ground"), ["holders[1]: is named twice"]),
        (shared("ground", "b", "c"), ["threshold: missing: how many of the 3 holders restore a"
                                      " frame"]),
        (shared("ground", "b", threshold=3), ["threshold: is more than the 2 holders"]),
        (shared("ground", "d"), ["holders[1]: is no destination's name"]),
        (shared("d", "e", scheme="sealed"), ["holders[0]: is no destination's name",
                                             "holders[1]: is no destination's name"]),
        (shared("ground", "b", threshold=1), ["threshold: expected int 2..16 or null, got 1"]),
        (shared("ground", "b"), []),
        (shared("b", "ground", threshold=2, sensitive=True), []),
        (shared("c", "ground", "b", threshold=3), []),
        (shared("ground", "b", scheme="reversible"), []),
    ],
)
def test_holders_of_shares(rule: dict[str, Any], expected: list[str]) -> None:
    changes: dict[str, Any] = {"rules": [rule], "destinations": destinations("ground", "b", "c")}
    if expected:
        assert faults("onboard", **changes) == [f"rules[0].{fault}" for fault in expected]
    else:
        assert read("onboard", **changes).rules[0].holders == tuple(rule["holders"])


def test_recipients_of_shares() -> None:
    many = {"recipients": ["a.pub"] * 10, "destinations": destinations("ground", "b")}
    read("onboard", **many)
    assert faults("onboard", **many, rules=[shared("ground", "b")]) == [
        "recipients: at most 9 where a rule has holders"
    ]


def test_a_spool_too_small_for_shares() -> None:
    changes = {"destinations": destinations("ground", "b"), "rules": [shared("ground", "b")]}
    assert faults("onboard", **changes, spool={"max_items": 1}) == [
        "rules[0].holders: are more than the spool's max_items"
    ]


def test_a_section_made_in_code_is_checked_too() -> None:
    with pytest.raises(ValueError, match=r"^scheme: plain is for frames with `sensitive: false`"):
        Rule(scheme="plain")


# --- what is read


def test_contacts_and_rules() -> None:
    found = read("onboard", destinations__0__contacts=[[1, 2], [2, 3.5]])
    assert found.destinations[0].contacts == (Contact(1.0, 2.0), Contact(2.0, 3.5))
    assert found.ordered_rules == (*found.rules, *LAST_RULES)
    assert found.rules[0].labels == {"mode": "survey"}
    dated = EXAMPLES["onboard"].read_text().replace("mode: survey", "since: 2024-02-30")
    labels = parse(dated.encode(), OnboardConfig, HERE).rules[0].labels
    assert labels == {"since": "2024-02-30"}
    assert [(rule.sensitive, rule.scheme) for rule in LAST_RULES] == [
        (True, "sealed"), (None, "reversible"),
    ]


def test_defaults_hold_for_what_is_left_out() -> None:
    required = {"state_dir", "spool_dir", "signing_key", "recipients", "destinations"}
    left_out = dict.fromkeys(set(DOCUMENTS["onboard"]) - required, DELETE)
    found = read("onboard", **left_out)
    assert (found.entity, found.private_share, found.private_when_size_unknown) == (1, 0.05, 16384)
    assert (found.camera.bind, found.camera.window_bytes) == (None, 1 << 20)
    assert (found.health_file, found.rules) == (None, ())
    keyless = read("ground", keys=DELETE, metrics=DELETE, console=DELETE)
    assert (keyless.keys, keyless.metrics, keyless.console) == ((), None, None)


# --- anything at all


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)


def places(document: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(document, (dict, list)):
        return [place]
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    return [place, *(found for key, each in inner for found in places(each, (*place, key)))]


@programs
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_is_read_or_refused(program: str, data: st.DataObject) -> None:
    document = {"whole": deepcopy(DOCUMENTS[program])}
    *above, last = data.draw(st.sampled_from(places(document)[1:]))
    inner: Any = document
    for word in above:
        inner = inner[word]
    inner[last] = data.draw(VALUES)
    content = yaml.safe_dump(document["whole"]).encode()
    try:
        found = parse(content, KINDS[program], HERE)
    except Faults as error:
        assert error.found
        assert all("\n" not in str(fault) and len(str(fault)) < 500 for fault in error.found)
    else:
        assert isinstance(found, KINDS[program])


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="a:-? {}[],&*!|>'\"%@#\n\t0_x.<=e1é\ud800\x00", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(Faults):
        parse(text.encode(errors="surrogatepass"), GroundConfig, HERE)
