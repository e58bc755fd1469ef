"""Provisioning: keys where they belong and nowhere else, configurations that load and meet."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.config import GroundConfig
from ground.mission import Mission
from ground.provision import provision
from occulta.codec.crypto import PrivateKey, PublicKey, SigningKey, VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.link.endpoint import Client, ClientKeys, Server, Settings, public_key
from occulta.link.security import (
    Direction,
    LinkKey,
    Receiver,
    Role,
    Sender,
    initialise_receiver,
    initialise_sender,
)
from occulta.program import linkkeys
from occulta.program.config import load
from occulta.program.files import OutputFile
from occulta.program.keyfiles import encode_key, read_key
from occulta.program.linkkeys import (
    encode_curve_public,
    encode_curve_secret,
    encode_link_keys,
    read_curve_public,
    read_curve_secret,
    read_link_keys,
)
from onboard.config import OnboardConfig
from sim.link import config as relay
from tests.cli import assert_error, call, names, run

FOLDERS = ["ground", "onboard", "sim"]
SECRETS = {
    "onboard": {"satellite.key", "satellite-curve.key", "link.keys"},
    "ground": {"recipient.key", "ground-curve.key", "link.keys"},
    "sim": {"relay-curve.key"},
}
PACKET = bytes.fromhex("0801c0000000") + b"x"


@pytest.fixture(scope="module")
def mission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("provision") / "mission"
    assert call("ground", "provision", folder).status == 0
    return folder


def configured(mission: Path) -> tuple[OnboardConfig, GroundConfig]:
    return (
        load(mission / "onboard" / "onboard.yaml", OnboardConfig),
        load(mission / "ground" / "ground.yaml", GroundConfig),
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the command


def test_what_the_command_makes_and_says(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mission"
    done = run("ground", "provision", folder)
    assert (done.status, done.err) == (0, "")
    assert names(folder) == FOLDERS
    lines = done.out.decode().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"{folder}/onboard", f"{folder}/ground", f"{folder}/sim",
    ]


def test_an_empty_folder_is_taken_as_it_is(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "mission"
    folder.mkdir(mode=0o750)
    monkeypatch.chdir(folder)
    assert call("ground", "provision", ".").status == 0
    assert names(folder) == names(Path(".")) == FOLDERS
    assert mode(folder) == 0o750


@pytest.mark.parametrize("name", ["onboard", "notes.txt", ".hidden"])
def test_a_folder_with_something_in_it_is_refused_untouched(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    assert_error(call("ground", "provision", tmp_path), 205, "is not empty")
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_second_time_is_refused(mission: Path) -> None:
    before = {path: path.read_bytes() for path in mission.rglob("*.*")}
    assert_error(call("ground", "provision", mission), 205)
    assert {path: path.read_bytes() for path in mission.rglob("*.*")} == before


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "mission"):
        assert_error(call("ground", "provision", folder), 600)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("ports", [(0, 7302), (7301, 65_536), (7301, 7301), (-1, 7)])
def test_ports_that_cannot_be(ports: tuple[int, int], tmp_path: Path) -> None:
    words = (f"--relay-port={ports[0]}", f"--ground-port={ports[1]}")
    assert_error(call("ground", "provision", tmp_path / "mission", *words), 200, "ports")
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [1, 9, 17])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    number: int, error: BaseException, tmp_path: Path, monkeypatch: Any
) -> None:
    written: list[Path] = []

    def publish(file: OutputFile, real: Callable[[OutputFile], None] = OutputFile.publish) -> None:
        written.append(file.path)
        if len(written) == number:
            raise error
        real(file)

    monkeypatch.setattr(OutputFile, "publish", publish)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new", tmp_path / "empty"):
        written.clear()
        done = call("ground", "provision", folder)
        assert done.status == (6 if isinstance(error, OSError) else 130)
        assert len(written) == number
    assert names(tmp_path) == ["empty"]
    assert names(tmp_path / "empty") == []


def test_a_failure_while_moving_into_place_leaves_nothing(
    tmp_path: Path, monkeypatch: Any
) -> None:
    moved: list[Path] = []

    def rename(path: Path, target: Path, real: Callable[..., Path] = Path.rename) -> Path:
        moved.append(path)
        if len(moved) == 2:
            raise OSError(5, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert_error(call("ground", "provision", tmp_path / "mission"), 600)
    assert len(moved) == 2
    assert names(tmp_path) == []


# --- what lies where


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_secrets_are_for_their_owner_whatever_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        assert call("ground", "provision", tmp_path / "mission").status == 0
    finally:
        os.umask(before)
    for path in (tmp_path / "mission").rglob("*"):
        if path.is_dir():
            assert mode(path) == 0o700
        else:
            is_secret = path.name in SECRETS[path.parent.name]
            assert mode(path) == (0o600 if is_secret else 0o666 & ~mask), path


def test_each_secret_is_only_where_it_is_needed(tmp_path: Path) -> None:
    keys = Mission.generate()
    provision(tmp_path / "mission", keys, 7301, 7302)
    needed = {
        keys.recipient.raw: {"ground"}, keys.signing.raw: {"onboard"},
        keys.satellite: {"onboard"}, keys.ground: {"ground"}, keys.relay: {"sim"},
        **{key.raw: {"ground", "onboard"} for key in keys.link},
    }
    assert len(needed) == 7
    files = [path for path in (tmp_path / "mission").rglob("*") if path.is_file()]
    for secret, folders in needed.items():
        holding = {path for path in files if secret.hex() in path.read_text()}
        assert {path.parent.name for path in holding} == folders
        assert all(path.name in SECRETS[path.parent.name] for path in holding)
    assert not any(secret.hex() in repr(keys) for secret in needed)


def test_no_two_missions_share_a_key(mission: Path, tmp_path: Path) -> None:
    assert call("ground", "provision", tmp_path / "mission").status == 0
    for name in ("onboard", "ground", "sim"):
        for path in (mission / name).glob("*.[kp][eu]*"):
            assert (tmp_path / "mission" / name / path.name).read_bytes() != path.read_bytes()


def test_the_key_files_are_those_that_the_configurations_name(mission: Path) -> None:
    satellite, ground = configured(mission)
    signing = read_key(str(satellite.signing_key), SigningKey)
    assert [read_key(str(path), VerifyingKey) for path in ground.known_satellites] == [
        signing.public,
    ]
    recipients = [read_key(str(path), PublicKey) for path in satellite.recipients]
    assert [read_key(str(path), PrivateKey).public for path in ground.keys] == recipients
    link = read_link_keys(satellite.destinations[0].link_keys)
    assert link == read_link_keys(ground.satellites[0].link_keys)
    assert [(key.key_id, key.role) for key in link] == [(1, Role.COMMANDER), (2, Role.COMMANDER)]
    assert len({key.raw for key in link}) == 2


def test_the_configurations_hold_only_paths_and_addresses(mission: Path) -> None:
    satellite, ground = configured(mission)
    destination, node = satellite.destinations[0], ground.satellites[0]
    assert (destination.entity, node.entity) == (ground.entity, satellite.entity) == (2, 1)
    assert (destination.cfdp, satellite.apids) == (node.cfdp, node.apids)
    assert satellite.camera.bind == f"ipc://{mission}/onboard/camera.ipc"
    assert satellite.private.bind == f"ipc://{mission}/onboard/private.ipc"
    assert satellite.health_file == mission / "onboard" / "health.json"
    assert ground.console == f"ipc://{mission}/ground/console.ipc"
    link, _ = relay.load(mission / "sim" / "link.yaml")
    assert destination.address == link.space.bind == "tcp://127.0.0.1:7301"
    assert node.bind == link.nodes[0].address == "tcp://127.0.0.1:7302"


# --- the keys at work


def exchange(server: Server, client: Client) -> list[tuple[str, bytes]]:
    """One packet from the client; nothing if there is no connection within 5 seconds."""
    poller = zmq.Poller()
    for socket, events in (*server.sockets(), *client.sockets()):
        poller.register(socket, events)
    is_sent = False
    for _ in range(500):
        poller.poll(10)
        client.receive(1)
        is_sent = is_sent or client.connected() == {client_peer} and client.send(client_peer, b"x")
        if found := server.receive(1):
            return found
    return []


client_peer = "server"


@pytest.mark.parametrize("way", ["satellite to relay", "relay to ground", "satellite to ground"])
def test_each_hop_connects_with_its_keys(way: str, mission: Path, tmp_path: Path) -> None:
    satellite, ground = configured(mission)
    link, _ = relay.load(mission / "sim" / "link.yaml")
    node, destination = ground.satellites[0], satellite.destinations[0]
    name = way.split(maxsplit=1)[0]
    listener = link.space if way == "satellite to relay" else node
    near = link.nodes[0] if name == "relay" else destination
    server_key = mission / "onboard" / f"{way.split()[2]}-curve.pub"
    keys = ClientKeys(read_curve_secret(near.secret_key), read_curve_public(server_key))
    secret = read_curve_secret(listener.secret_key or "")
    with (
        zmq.Context() as context,
        closing(Server(
            context, "tcp://127.0.0.1:0", listener.allow_list(), Settings(1024), secret_key=secret
        )) as server,
        closing(Client(context, server.address, client_peer, Settings(1024), keys)) as client,
    ):
        assert exchange(server, client) == [(name, b"x")]


def test_the_link_keys_protect_both_ways(mission: Path) -> None:
    satellite, ground = configured(mission)
    near = read_link_keys(satellite.destinations[0].link_keys)
    far = read_link_keys(ground.satellites[0].link_keys)
    for direction, ours, theirs in ((Direction.DOWN, near, far), (Direction.UP, far, near)):
        sender = Sender(
            initialise_sender(ours, direction, ours[0].key_id), direction, clock=1.0, random=bytes
        )
        sender.saved(sender.state())
        receiver = Receiver(initialise_receiver(theirs, direction), direction, 16)
        protected = sender.protect(PACKET)
        with pytest.raises(ValueError, match="save"):
            receiver.open(protected)
        receiver.saved(receiver.state())
        opened = receiver.open(protected)
        assert (opened.packet, opened.key_id, opened.role) == (PACKET, 1, Role.COMMANDER)


# --- files of link keys and CURVE keys


KEYS = (LinkKey(0, Role.STATION, bytes(range(32))), LinkKey(4095, Role.HOLDER, bytes(32)))
DIGITS = "ab" * 32


def written(path: Path, content: bytes, bits: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(bits)
    return path


def assert_refused(reason: Reason, reader: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(OccultaError) as refused:
        reader(path)
    assert refused.value.reason is reason
    assert str(path) in refused.value.detail
    assert DIGITS[:8] not in refused.value.detail
    return refused.value.detail


@settings(max_examples=50)
@given(st.lists(
    st.builds(LinkKey, st.integers(0, 4095), st.sampled_from(Role), st.binary(
        min_size=32, max_size=32
    )), min_size=1, max_size=20, unique_by=lambda key: key.key_id,
))
def test_link_keys_come_back(tmp_path_factory: Any, keys: list[LinkKey]) -> None:
    path = tmp_path_factory.mktemp("keys") / "link.keys"
    assert read_link_keys(written(path, encode_link_keys(keys))) == tuple(keys)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "see line 1"),
        (DIGITS, "see line 1"),
        ("keys: []", "see $.keys"),
        (f'keys: [{{id: 1, role: commander, key: "{DIGITS}0"}}]', "see $.keys[0].key"),
        (f'keys: [{{id: 1, role: commander, key: "{DIGITS}\\n"}}]', "see $.keys[0].key"),
        (f'keys: [{{id: 1, role: commander, key: "{DIGITS.upper()}"}}]', "see $.keys[0].key"),
        (f'keys: [{{id: 4096, role: commander, key: "{DIGITS}"}}]', "see $.keys[0].id"),
        (f'keys: [{{id: 1, role: {DIGITS}, key: "{DIGITS}"}}]', "see $.keys[0].role"),
        (f'keys: [{{id: 1, role: holder, key: "{DIGITS}", {DIGITS}: 1}}]', "see $.keys[0]"),
        (f'keys: [{{id: 1, role: holder, key: "{DIGITS}"]', "see line 1"),
        (f'keys:\n- &a {{id: 1, role: holder, key: "{DIGITS}"}}', "see line 2"),
        (f'keys: [{{id: 1, role: holder, key: "{DIGITS}", key: "{DIGITS}"}}]', "something twice"),
        ("keys:" + 2 * f'\n- {{id: 1, role: holder, key: "{DIGITS}"}}', "something twice"),
    ],
)
def test_what_is_no_file_of_link_keys(text: str, place: str, tmp_path: Path) -> None:
    path = written(tmp_path / "link.keys", text.encode())
    assert assert_refused(Reason.KEY_MALFORMED, read_link_keys, path).endswith(place)


def test_link_keys_that_are_no_text(tmp_path: Path) -> None:
    path = written(tmp_path / "link.keys", b"\xff" * 99)
    assert assert_refused(Reason.KEY_MALFORMED, read_link_keys, path).endswith("see line 1")


def test_link_keys_have_a_largest_size(tmp_path: Path) -> None:
    content = encode_link_keys(KEYS)
    most = content + b"#" * (linkkeys.MAX_SIZE - len(content))
    assert read_link_keys(written(tmp_path / "link.keys", most)) == KEYS
    written(tmp_path / "link.keys", most + b"#")
    assert_refused(Reason.KEY_MALFORMED, read_link_keys, tmp_path / "link.keys")


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644])
def test_secrets_that_others_may_touch_are_refused(bits: int, tmp_path: Path) -> None:
    link = written(tmp_path / "link.keys", encode_link_keys(KEYS), bits)
    assert_refused(Reason.KEY_PERMISSIONS, read_link_keys, link)
    curve = written(tmp_path / "curve.key", encode_curve_secret(bytes(32)), bits)
    assert_refused(Reason.KEY_PERMISSIONS, read_curve_secret, curve)
    public = written(tmp_path / "curve.pub", encode_curve_public(bytes(32)), bits)
    assert read_curve_public(public) == bytes(32)


@pytest.mark.parametrize("reader", [read_link_keys, read_curve_secret, read_curve_public])
def test_keys_that_cannot_be_read(reader: Callable[[Path], object], tmp_path: Path) -> None:
    assert_refused(Reason.KEY_UNREADABLE, reader, tmp_path / "missing")
    assert_refused(Reason.KEY_UNREADABLE, reader, tmp_path)


def test_curve_keys_of_the_wrong_kind(tmp_path: Path) -> None:
    secret = written(tmp_path / "curve.key", encode_curve_secret(bytes.fromhex(DIGITS)))
    public = written(tmp_path / "curve.pub", encode_curve_public(public_key(bytes(32))))
    other = written(tmp_path / "satellite.key", encode_key(SigningKey.generate()))
    assert read_curve_secret(secret) == bytes.fromhex(DIGITS)
    assert_refused(Reason.KEY_KIND, read_curve_public, secret)
    assert_refused(Reason.KEY_KIND, read_curve_secret, public)
    assert_refused(Reason.KEY_KIND, read_curve_secret, other)


@pytest.mark.parametrize("digits", ["", DIGITS[2:], f"{DIGITS}ab", "zz" * 32, "é" * 32])
def test_curve_keys_with_wrong_digits(digits: str, tmp_path: Path) -> None:
    path = written(tmp_path / "curve.key", f"occulta-curve-key-1 {digits}\n".encode())
    assert_refused(Reason.KEY_MALFORMED, read_curve_secret, path)
