"""`occulta-ground command`: a telecommand through the running node, and what became of it."""

from __future__ import annotations

import argparse
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import wrap

import msgspec
import zmq

from ground.config import GroundConfig
from ground.telecommands import TELECOMMANDS, telecommand, usage
from occulta.errors import OccultaError, Reason
from occulta.link import pus
from occulta.link.drops import PacketError
from occulta.link.endpoint import Client, Settings
from occulta.link.messages import (
    MAX_MESSAGE,
    CommandReply,
    CommandRequest,
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
"""Seconds for an answer: longer than the node waits for the satellite."""
CONNECT_TIMEOUT = 3.0
"""Seconds without a connection after which there is no node."""
_UNKNOWN = "whether the command was carried out is not known"
_STATUS = "status"
_WIDTH = 78


def add(command: argparse.ArgumentParser) -> None:
    """The command line."""
    command.add_argument("--config", metavar="FILE", type=Path, required=True)
    command.add_argument("--all", action="store_true", help="status: counters that are zero too")
    command.add_argument("name", metavar="COMMAND", choices=[*TELECOMMANDS, _STATUS],
                         help="one of those below")
    command.add_argument("arguments", metavar="NAME=VALUE", nargs="*",
                         help="those of the command; satellite=NAME if there are several")
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = "\n".join(["commands:", *_table()])
    command.set_defaults(handler=run)


def _table() -> Iterator[str]:
    """Every command with its arguments and its effect."""
    effects = [(usage(name), typed.effect) for name, typed in TELECOMMANDS.items()]
    for form, effect in [*effects, (_STATUS, "what node and satellite have counted")]:
        yield f"  {form}"
        yield from wrap(effect, _WIDTH, initial_indent="      ", subsequent_indent="      ")


def run(options: argparse.Namespace) -> int:
    """The command."""
    config = configuration.load(options.config, GroundConfig)
    if config.console is None:
        raise OccultaError(Reason.USAGE, "the configuration has no console")
    arguments = _parse(options.arguments)
    hint = f"start it: occulta-ground run --config {options.config}"
    if options.name == _STATUS:
        if arguments:
            raise OccultaError(Reason.USAGE, f"status takes no {', '.join(sorted(arguments))}")
        return _say_status(ask(config.console, StatusRequest(), hint), options.all)
    if options.all:
        raise OccultaError(Reason.USAGE, "--all is for status alone")
    request = CommandRequest(options.name, arguments)
    _check(request)
    reply = ask(config.console, request, hint)
    assert isinstance(reply, CommandReply)
    cli.say(reply.detail)
    return 0 if reply.accepted else int(Reason.COMMAND_REFUSED.exit_code)


def _say_status(status: Status | CommandReply, with_zeros: bool) -> int:
    assert isinstance(status, Status)
    for name, count in sorted(status.counters.items()):
        if count or with_zeros:
            cli.say(f"{name} {count}")
    return 0


def _check(request: CommandRequest) -> None:
    try:
        pus.encode_telecommand(telecommand(request), apid=0, sequence_count=0)
        encode(request)
    except ValueError as error:
        hint = f"{usage(request.name)}; see occulta-ground command --help"
        raise OccultaError(Reason.USAGE, str(error), hint) from None


def _parse(arguments: list[str]) -> dict[str, bool | int | float | str]:
    pairs = [argument.partition("=") for argument in arguments]
    if not all(name and sign for name, sign, _ in pairs):
        raise OccultaError(Reason.USAGE, "arguments are NAME=VALUE")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise OccultaError(Reason.USAGE, "an argument is given twice")
    return {name: value for name, _, value in pairs}


def ask(
    address: str, request: CommandRequest | StatusRequest, hint: str | None = None
) -> Status | CommandReply:
    """Ask the node listening at `address`; raises OccultaError(NODE_SILENT), with that hint."""
    seat = SEATS[os.getpid() % len(SEATS)].encode()
    asked = msgspec.structs.replace(request, question=1 + secrets.randbits(62))
    with zmq.Context() as context:
        client = Client(context, address, "node", Settings(MAX_MESSAGE), seat)
        try:
            return _exchange(client, asked)
        except _Silent as error:
            raise OccultaError(Reason.NODE_SILENT, f"{address}: {error}", hint) from None
        finally:
            client.close()


class _Silent(Exception):
    """Why there is no answer."""


def _replies(client: Client) -> Iterator[Status | CommandReply]:
    """Those that came; what cannot be read is no answer."""
    for _, data in client.receive(16):
        with suppress(PacketError):
            reply = decode(data, ToConsole)
            assert isinstance(reply, Status | CommandReply)
            yield reply


def _exchange(client: Client, asked: CommandRequest | StatusRequest) -> Status | CommandReply:
    """What is answered to this question: another console may have had the seat before."""
    poller = zmq.Poller()
    for socket, events in client.sockets():
        poller.register(socket, events)
    question = encode(asked)
    lost = _UNKNOWN if isinstance(asked, CommandRequest) else "ask again"
    seen = began = time.monotonic()
    sent = False
    while (now := time.monotonic()) < began + TIMEOUT:
        seen = now if client.connected() else seen
        if now >= seen + CONNECT_TIMEOUT:
            raise _Silent(f"the node has gone: {lost}" if sent else "no node listens")
        sent = sent or client.send("node", question)
        poller.poll(100)
        for reply in _replies(client):
            if reply.question == asked.question:
                return reply
    raise _Silent(f"no answer in {TIMEOUT:.0f} s: {lost}")
