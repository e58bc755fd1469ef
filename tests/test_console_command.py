"""`occulta-ground command`: what may be typed, and whose answers a console takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from ground import command
from ground.config import GroundConfig
from ground.telecommands import TELECOMMANDS, telecommand, usage
from occulta.link import pus
from occulta.link.endpoint import Server, Settings
from occulta.link.messages import (
    MAX_MESSAGE,
    CommandReply,
    CommandRequest,
    FromConsole,
    Message,
    Status,
    StatusRequest,
    decode,
    encode,
)
from occulta.link.pus.telecommands import COMMANDS
from occulta.program import config as configuration
from tests.cli import ROOT, Outcome, assert_error, call

ID = "0" * 32
EXAMPLES = {
    "are-you-alive": {}, "report-housekeeping": {"structure": 1},
    "set-scheme": {"rule": "1", "scheme": "sealed"},
    "set-priority": {"product": ID, "priority": "7"}, "hold": {}, "resume": {"destination": 2},
    "cancel": {"product": ID}, "purge": {"priority": 1},
    "select-link-key": {"destination": "2", "key": "5"},
    "retire-link-key": {"destination": "2", "key": "5"},
}


def made(name: str, **arguments: bool | int | float | str) -> pus.Command:
    return telecommand(CommandRequest(name, arguments))


# --- what is typed


def test_every_telecommand_can_be_typed() -> None:
    commands = [made(layout.name.replace("_", "-"), **EXAMPLES[layout.name.replace("_", "-")])
                for layout in COMMANDS]
    assert [type(each) for each in commands] == [layout.make for layout in COMMANDS]
    assert len(commands) == len(TELECOMMANDS)


def test_what_is_typed_is_sent() -> None:
    assert made("select-link-key", destination="2", key="5") == pus.SelectLinkKey(2, 5)
    assert made("retire-link-key", destination="2", key="5") == pus.RetireLinkKey(2, 5)
    assert made("set-priority", product="0a" * 16, priority="7") == pus.SetPriority(
        b"\n" * 16, 7)
    assert made("hold") == pus.Hold(0)
    assert made("hold", destination=3, satellite="alpha") == pus.Hold(3)


@pytest.mark.parametrize(("scheme", "profile"), [
    ("reversible", "exact"), ("sealed", "none"), ("plain", "none")])
def test_a_scheme_has_a_profile_by_default(scheme: str, profile: str) -> None:
    assert made("set-scheme", rule="x", scheme=scheme) == pus.SetScheme("x", scheme, profile)
    given = made("set-scheme", rule="x", scheme=scheme, profile="paper")
    assert given == pus.SetScheme("x", scheme, "paper")


@pytest.mark.parametrize(("name", "arguments", "detail"), [
    ("set-scheme", {}, "give rule=RULE, scheme=SCHEME"),
    ("set-priority", {"priority": 1}, "give product=ID"),
    ("retire-link-key", {"destination": 2}, "give key=NUMBER"),
    ("purge", {"prio": 1, "all": True}, "give priority=NUMBER; purge takes no all, prio"),
    ("are-you-alive", {"destination": 1}, "are-you-alive takes no destination"),
    ("cancel", {"product": "0" * 31}, "give product=ID, 32 hexadecimal digits"),
    ("purge", {"priority": "-1"}, "give priority=NUMBER, not -1"),
    ("purge", {"priority": 1.5}, "give priority=NUMBER, not 1.5"),
    ("purge", {"priority": True}, "give priority=NUMBER, not True"),
    ("hold", {"destination": "all"}, "give destination=NUMBER, not all"),
    ("sleep", {}, f"no command sleep: one of {', '.join(TELECOMMANDS)}"),
])
def test_what_is_wrong_is_told_at_once(
    name: str, arguments: dict[str, bool | int | float | str], detail: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared
        telecommand(CommandRequest(name, arguments))
    assert str(caught.value) == detail


# --- the command line


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.yaml"
    path.write_bytes((ROOT / "configs/ground.yaml").read_bytes())
    return path


def run(config: Path, *words: str) -> Outcome:
    return call("ground", "command", "--config", config, *words)


@pytest.mark.parametrize(("words", "detail", "hint"), [
    (["set-scheme", "scheme=plain"], "give rule=RULE",
     "set-scheme rule=RULE scheme=SCHEME [profile=PROFILE]; see occulta-ground command --help"),
    (["purge", "priority=256"], "priority is not one of 0..255: 256",
     "purge priority=NUMBER; see occulta-ground command --help"),
    (["purge", "priority=1", "a b=1"], "purge takes no a b", "purge priority=NUMBER; see"),
    (["purge", "priority=1", "priority=2"], "an argument is given twice", "see --help"),
    (["purge", "priority"], "arguments are NAME=VALUE", "see --help"),
    (["purge", "priority=1", "satellite=" + "x" * 2000], "not a valid CommandRequest", "purge"),
    (["status", "priority=1"], "status takes no priority", "see --help"),
    (["hold", "--all"], "--all is for status alone", "see --help"),
])
def test_wrong_use(config: Path, words: list[str], detail: str, hint: str) -> None:
    found = run(config, *words)
    assert_error(found, 200, detail)
    assert found.err.splitlines()[1].startswith(f"hint: {hint}")


def test_help_and_the_manual_have_every_command() -> None:
    found = call("ground", "command", "--help").out.decode()
    manual = (ROOT / "docs/daemon.md").read_text().split("\n## Telecommands\n")[1]
    for name in TELECOMMANDS:
        assert f"\n  {usage(name)}\n      " in found
        assert f"\n| `{usage(name)}` | " in manual.split("\n## ")[0]
    assert "\n  status\n      " in found


def test_no_node(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told soon, though an answer may take long."""
    assert command.CONNECT_TIMEOUT == 3 < command.TIMEOUT
    monkeypatch.setattr(command, "CONNECT_TIMEOUT", 0.2)
    for words in (["are-you-alive"], ["status"]):
        found = run(config, *words)
        assert_error(found, 604, f"ipc://{config.parent}/console.ipc: no node listens")
        assert found.err.splitlines()[1] == (
            f"hint: start it: occulta-ground run --config {config}")


# --- answers

Answers = Callable[[Message], list[bytes]]


class Node:
    """Answers each question in a thread of its own, as it is told to."""

    def __init__(self, config: Path) -> None:
        self._address = configuration.load(config, GroundConfig).console
        self._ended = threading.Event()
        self.asked: list[Message] = []
        self.answers: Answers = lambda asked: []
        self.leaves_after = 100
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        allowed = {seat.encode(): seat for seat in command.SEATS}
        with zmq.Context() as context:
            server = Server(context, str(self._address), allowed, Settings(MAX_MESSAGE))
            poller = zmq.Poller()
            for socket, events in server.sockets():
                poller.register(socket, events)
            while not self._ended.is_set() and len(self.asked) < self.leaves_after:
                poller.poll(50)
                for peer, data in server.receive(16):
                    self.asked.append(decode(data, FromConsole))
                    for answer in self.answers(self.asked[-1]):
                        server.send(peer, answer)  # who has its answer may have left
            server.close()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def node(config: Path) -> Iterator[Node]:
    node = Node(config)
    yield node
    node.close()


def reply(asked: Message, detail: str = "done", accepted: bool = True, other: int = 0) -> bytes:
    assert isinstance(asked, CommandRequest)
    return encode(CommandReply(accepted, detail, asked.question ^ other))


def test_a_console_takes_no_answer_to_another(config: Path, node: Node) -> None:
    """Nor one of another time, one to nobody, and what cannot be read."""
    node.answers = lambda asked: [
        reply(asked, "another's", other=1), encode(CommandReply(True, "nobody's")), b"\xc1",
        encode(Status({}, True, 1.0, 7)), reply(asked, "refused, 404: no", accepted=False),
        reply(asked, "too late"),
    ]
    found = run(config, "purge", "priority=5")
    assert (found.status, found.out, found.err) == (5, b"refused, 404: no\n", "")
    assert run(config, "hold").out == b"refused, 404: no\n"
    first, second = node.asked
    assert isinstance(first, CommandRequest)
    assert isinstance(second, CommandRequest)
    assert (first.name, first.arguments) == ("purge", {"priority": "5"})
    assert 0 not in (first.question, second.question)
    assert first.question != second.question


def test_status_leaves_out_what_is_zero(config: Path, node: Node) -> None:
    def answers(asked: Message) -> list[bytes]:
        assert isinstance(asked, StatusRequest)
        return [encode(Status({"b": 2, "a": 0, "c": 1}, True, 1.0, asked.question))]

    node.answers = answers
    assert run(config, "status").out == b"b 2\nc 1\n"
    assert run(config, "status", "--all").out == b"a 0\nb 2\nc 1\n"


def test_a_node_that_does_not_answer(
    config: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have done what it was asked."""
    monkeypatch.setattr(command, "TIMEOUT", 1.0)
    found = run(config, "hold")
    assert_error(found, 604, "no answer in 1 s: whether the command was carried out is not known")
    assert_error(run(config, "status"), 604, "no answer in 1 s: ask again")
    node.leaves_after = 3
    monkeypatch.undo()
    monkeypatch.setattr(command, "CONNECT_TIMEOUT", 1.5)
    found = run(config, "hold")
    assert_error(found, 604, "the node has gone: whether the command was carried out is not known")
