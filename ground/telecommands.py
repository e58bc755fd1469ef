"""Telecommands as they are typed: their arguments, what they do, what is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ground.product import REVERSIBLE
from occulta.link import pus
from occulta.link.messages import PRODUCT_ID_SIZE, CommandRequest

SATELLITE = "satellite"
"""An argument of every telecommand: which one, for a node of several."""
_DEFAULT_PROFILE, _NO_PROFILE = "exact", "none"
Arguments = Mapping[str, bool | int | float | str]


class Typed(NamedTuple):
    """A telecommand: `arguments` as in `rule=RULE [profile=PROFILE]`, optional ones in brackets."""

    arguments: str
    effect: str
    make: Callable[[Arguments], pus.Command]

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments that must be given, as `name=VALUE`."""
        return tuple(word for word in self.arguments.split() if not word.startswith("["))

    @property
    def names(self) -> set[str]:
        """Of all arguments."""
        return {word.strip("[]").partition("=")[0] for word in self.arguments.split()}


def _number(arguments: Arguments, name: str, default: int | None = None) -> int:
    text = str(arguments.get(name, default))
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"give {name}=NUMBER, not {text}")
    return int(text)


def _text(arguments: Arguments, name: str) -> str:
    return str(arguments[name])


def _product(arguments: Arguments) -> bytes:
    try:
        product = bytes.fromhex(_text(arguments, "product"))
    except ValueError:
        product = b""
    if len(product) != PRODUCT_ID_SIZE:
        raise ValueError("give product=ID, 32 hexadecimal digits")
    return product


def _set_scheme(arguments: Arguments) -> pus.SetScheme:
    scheme = _text(arguments, "scheme")
    default = _DEFAULT_PROFILE if scheme == REVERSIBLE else _NO_PROFILE
    return pus.SetScheme(
        _text(arguments, "rule"), scheme, str(arguments.get("profile", default))
    )


TELECOMMANDS: dict[str, Typed] = {
    "are-you-alive": Typed(
        "", "answers that it is there", lambda a: pus.AreYouAlive(),
    ),
    "report-housekeeping": Typed(
        "structure=NUMBER", "sends housekeeping now: 1 is the daemon's, 2 the link's drops",
        lambda a: pus.ReportHousekeeping(_number(a, "structure")),
    ),
    "set-scheme": Typed(
        "rule=RULE scheme=SCHEME [profile=PROFILE]",
        "frames of the rule (its name or number) get reversible, sealed, plain or, where it has"
        " holders, shares from now on; of reversible the profile exact, unless paper is given",
        _set_scheme,
    ),
    "set-priority": Typed(
        "product=ID priority=NUMBER", "gives a product a priority of 0 (sent first) to 255",
        lambda a: pus.SetPriority(_product(a), _number(a, "priority")),
    ),
    "hold": Typed(
        "[destination=NUMBER]", "begins to send nothing more to a destination, or to any",
        lambda a: pus.Hold(_number(a, "destination", 0)),
    ),
    "resume": Typed(
        "[destination=NUMBER]", "ends the hold of a destination, or all holds",
        lambda a: pus.Resume(_number(a, "destination", 0)),
    ),
    "cancel": Typed(
        "product=ID", "gives up sending a product, and removes it from board",
        lambda a: pus.Cancel(_product(a)),
    ),
    "purge": Typed(
        "priority=NUMBER",
        "cancels all that waits with this priority number or a higher one; the node's log tells how"
        " much",
        lambda a: pus.Purge(_number(a, "priority")),
    ),
    "select-link-key": Typed(
        "destination=NUMBER key=NUMBER", "sends to a destination under another link key",
        lambda a: pus.SelectLinkKey(_number(a, "destination"), _number(a, "key")),
    ),
    "retire-link-key": Typed(
        "destination=NUMBER key=NUMBER", "erases a link key of a destination, for good",
        lambda a: pus.RetireLinkKey(_number(a, "destination"), _number(a, "key")),
    ),
}
"""By the names that are typed."""


def telecommand(request: CommandRequest) -> pus.Command:
    """The telecommand that a console asks for; raises ValueError.

    Everything that is missing is named at once, and so is everything that does not belong.
    """
    typed = TELECOMMANDS.get(request.name)
    if typed is None:
        raise ValueError(f"no command {request.name}: one of {', '.join(TELECOMMANDS)}")
    given = request.arguments
    missing = [word for word in typed.required if word.partition("=")[0] not in given]
    unknown = sorted(set(given) - typed.names - {SATELLITE})
    faults = [f"give {', '.join(missing)}"] if missing else []
    faults += [f"{request.name} takes no {', '.join(unknown)}"] if unknown else []
    if faults:
        raise ValueError("; ".join(faults))
    return typed.make(given)


def usage(name: str) -> str:
    """How a telecommand is typed."""
    return f"{name} {TELECOMMANDS[name].arguments}".rstrip()
