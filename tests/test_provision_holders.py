"""Provisioning for several holders of shares: ground nodes that have nothing of each other."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ground.config import GroundConfig
from ground.mission import Mission
from ground.provision import provision
from occulta.link.endpoint import public_key
from occulta.link.security import Role
from occulta.program.config import load
from occulta.program.linkkeys import read_curve_public, read_curve_secret, read_link_keys
from onboard.config import OnboardConfig, Rule
from sim.link import config as relay
from tests.cli import assert_error, call, names


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("provision") / "shared"
    done = call("ground", "provision", folder, "--holders", 3)
    assert done.status == 0
    assert [line.split(":")[0] for line in done.out.decode().splitlines()] == [
        f"{folder}/{name}" for name in ("onboard", "ground", "holder-b", "holder-c", "sim")
    ]
    return folder


def test_each_holder_has_a_ground_of_its_own(shared: Path) -> None:
    satellite = load(shared / "onboard/onboard.yaml", OnboardConfig)
    link, _ = relay.load(shared / "sim/link.yaml")
    folders = ["ground", "holder-b", "holder-c"]
    grounds = [load(shared / name / "ground.yaml", GroundConfig) for name in folders]
    assert [destination.name for destination in satellite.destinations] == folders
    assert [destination.entity for destination in satellite.destinations] == [2, 3, 4]
    assert [ground.entity for ground in grounds] == [2, 3, 4]
    assert [ground.console for ground in grounds] == [
        f"ipc://{shared}/{name}/console.ipc" for name in folders
    ]
    assert [ground.satellites[0].bind for ground in grounds] == [
        f"tcp://127.0.0.1:{port}" for port in (7302, 7303, 7304)
    ] == [node.address for node in link.nodes]
    assert [(pair.space, pair.ground) for pair in link.pairs] == [
        ("satellite", "ground"), ("satellite-b", "holder-b"), ("satellite-c", "holder-c"),
    ]
    for destination, ground, client, node in zip(
        satellite.destinations, grounds, link.space.clients, link.nodes, strict=True
    ):
        assert destination.address == link.space.bind
        keys = read_link_keys(destination.link_keys)
        assert keys == read_link_keys(ground.satellites[0].link_keys)
        role = Role.COMMANDER if ground is grounds[0] else Role.HOLDER
        assert [key.role for key in keys] == [role] * 2
        curve = public_key(read_curve_secret(destination.secret_key))
        assert client.public_key is not None
        assert read_curve_public(client.public_key) == curve
        assert curve in ground.satellites[0].allow_list()
        assert public_key(read_curve_secret(ground.satellites[0].secret_key)) == (
            read_curve_public(node.server_key))


def test_sensitive_frames_go_among_them(shared: Path, tmp_path: Path) -> None:
    rules = load(shared / "onboard/onboard.yaml", OnboardConfig).rules
    names = ("ground", "holder-b", "holder-c")
    assert rules == (
        Rule(name="shared", sensitive=True, scheme="shares", holders=names, threshold=2),
    )
    assert call("ground", "provision", tmp_path / "two", "--holders", 2).status == 0
    (rule,) = load(tmp_path / "two/onboard/onboard.yaml", OnboardConfig).rules
    assert (rule.holders, rule.threshold) == (names[:2], None)


def test_no_holder_has_anothers_secrets(tmp_path: Path) -> None:
    keys = Mission.generate(2)
    provision(tmp_path / "mission", keys, 7301, 7302)
    needed = {
        keys.recipient.raw: {"ground"}, keys.signing.raw: {"onboard"}, keys.relay: {"sim"},
        keys.satellite: {"onboard"}, keys.ground: {"ground"},
        **{key.raw: {"ground", "onboard"} for key in keys.link},
    }
    for name, holder in zip(("holder-b", "holder-c"), keys.others, strict=True):
        needed |= {holder.ground: {name}, holder.satellite: {"onboard"}}
        needed |= {key.raw: {name, "onboard"} for key in holder.link}
    assert len(needed) == 15
    files = [path for path in (tmp_path / "mission").rglob("*") if path.is_file()]
    for secret, folders in needed.items():
        holding = {path for path in files if secret.hex() in path.read_text()}
        assert {path.parent.name for path in holding} == folders
        assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}
    assert not any(secret.hex() in repr(keys) for secret in needed)


@pytest.mark.parametrize(("words", "detail"), [
    (["--holders", 1], "2 to 16"), (["--holders", 17], "2 to 16"),
    (["--holders", 3, "--ground-port", 65_534], "4 different"),
    (["--holders", 3, "--relay-port", 7304], "4 different"),
])
def test_holders_that_cannot_be(words: list[object], detail: str, tmp_path: Path) -> None:
    assert_error(call("ground", "provision", tmp_path / "mission", *words), 200, detail)
    assert names(tmp_path) == []
