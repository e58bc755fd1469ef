"""`occulta-ground command`: a telecommand through the running node, and what became of it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import zmq

from ground.config import GroundConfig
from occulta.errors import OccultaError, Reason
from occulta.link import pus
from occulta.link.endpoint import Client, Settings
from occulta.link.messages import (
    MAX_MESSAGE,
    CommandReply,
    CommandRequest,
    Message,
    Status,
    StatusRequest,
    ToConsole,
    decode,
    encode,
)
from occulta.program import cli
from occulta.program import config as configuration

SEATS = tuple(f"console-{number}" for number in range(8))
"""Names by which consoles connect; two with the same name would take it from each other."""
TIMEOUT = 40.0
"""Seconds: longer than the node waits for the satellite."""
_STATUS = "status"
Arguments = Mapping[str, bool | int | float | str]


def _number(arguments: Arguments, name: str) -> int:
    try:
        return int(arguments[name])
    except (KeyError, ValueError):
        raise ValueError(f"give {name}=NUMBER") from None


def _text(arguments: Arguments, name: str) -> str:
    if name not in arguments:
        raise ValueError(f"give {name}=TEXT")
    return str(arguments[name])


def _product(arguments: Arguments) -> bytes:
    try:
        product = bytes.fromhex(_text(arguments, "product"))
    except ValueError:
        product = b""
    if len(product) != 16:
        raise ValueError("give product=ID, 32 hexadecimal digits")
    return product


_COMMANDS: dict[str, Callable[[Arguments], pus.Command]] = {
    "are-you-alive": lambda a: pus.AreYouAlive(),
    "report-housekeeping": lambda a: pus.ReportHousekeeping(_number(a, "structure")),
    "set-scheme": lambda a: pus.SetScheme(
        _text(a, "rule"), _text(a, "scheme"), str(a.get("profile", "none"))
    ),
    "set-priority": lambda a: pus.SetPriority(_product(a), _number(a, "priority")),
    "hold": lambda a: pus.Hold(int(a.get("destination", 0))),
    "resume": lambda a: pus.Resume(int(a.get("destination", 0))),
    "cancel": lambda a: pus.Cancel(_product(a)),
    "purge": lambda a: pus.Purge(_number(a, "priority")),
    "select-link-key": lambda a: pus.SelectLinkKey(_number(a, "destination"), _number(a, "key")),
    "retire-link-key": lambda a: pus.RetireLinkKey(_number(a, "destination"), _number(a, "key")),
}


def telecommand(request: CommandRequest) -> pus.Command:
    """The telecommand that a console asks for; raises ValueError."""
    make = _COMMANDS.get(request.name)
    if make is None:
        raise ValueError(f"no command {request.name}: one of {', '.join(_COMMANDS)}")
    return make(request.arguments)


def add(command: argparse.ArgumentParser) -> None:
    """The command line."""
    command.add_argument("--config", metavar="FILE", type=Path, required=True)
    command.add_argument("name", metavar="COMMAND", choices=[*_COMMANDS, _STATUS],
                         help=f"one of {', '.join([*_COMMANDS, _STATUS])}")
    command.add_argument("arguments", metavar="NAME=VALUE", nargs="*",
                         help="for example product=ID priority=3; satellite=NAME if there are many")
    command.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """The command."""
    config = configuration.load(options.config, GroundConfig)
    if config.console is None:
        raise OccultaError(Reason.USAGE, "the configuration has no console")
    request: Message = StatusRequest()
    if options.name != _STATUS:
        request = CommandRequest(options.name, _parse(options.arguments))
        _check(request)
    reply = ask(config.console, request)
    if isinstance(reply, Status):
        for name, count in sorted(reply.counters.items()):
            cli.say(f"{name} {count}")
        return 0
    cli.say(reply.detail)
    return 0 if reply.accepted else int(Reason.COMMAND_REFUSED.exit_code)


def _check(request: Message) -> None:
    assert isinstance(request, CommandRequest)
    try:
        pus.encode_telecommand(telecommand(request), apid=0, sequence_count=0)
    except ValueError as error:
        raise OccultaError(Reason.USAGE, str(error)) from None


def _parse(arguments: list[str]) -> dict[str, bool | int | float | str]:
    pairs = [argument.partition("=") for argument in arguments]
    if not all(name and sign for name, sign, _ in pairs):
        raise OccultaError(Reason.USAGE, "arguments are NAME=VALUE")
    return {name: value for name, _, value in pairs}


def ask(address: str, request: Message) -> Status | CommandReply:
    """Ask the node listening at `address`; raises OccultaError(NODE_SILENT)."""
    seat = SEATS[os.getpid() % len(SEATS)].encode()
    with zmq.Context() as context:
        client = Client(context, address, "node", Settings(MAX_MESSAGE), seat)
        try:
            return _exchange(client, encode(request), address)
        finally:
            client.close()


def _exchange(client: Client, data: bytes, address: str) -> Status | CommandReply:
    poller = zmq.Poller()
    for socket, events in client.sockets():
        poller.register(socket, events)
    end = time.monotonic() + TIMEOUT
    sent = False
    while time.monotonic() < end:
        sent = sent or client.send("node", data)
        poller.poll(100)
        for _, answer in client.receive(1):
            reply = decode(answer, ToConsole)
            assert isinstance(reply, Status | CommandReply)
            return reply
    raise OccultaError(Reason.NODE_SILENT, f"nothing answers at {address}")
