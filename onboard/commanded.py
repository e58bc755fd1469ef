"""Rules whose scheme was set by telecommand: that holds across restarts, until the rule changes."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Literal

import msgspec

from occulta.program.typed import Faults
from onboard.config import Rule
from onboard.pipeline import NO_PROFILE, REVERSIBLE, SCHEMES
from onboard.spool.state import State

_KEY = "rules"
_PROFILES = ("exact", "paper")


class _Commanded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was commanded for a rule, and the digest of the rule as the configuration had it."""

    scheme: Literal["reversible", "sealed", "plain", "shares"]
    profile: Literal["exact", "paper"]
    configured: bytes


class CommandedRules:
    """Changes a list of rules in place.

    What was commanded belongs to the rule that it was commanded for: once the configuration says
    something else of that rule, or has it no more, it is forgotten.
    """

    def __init__(self, state: State, rules: list[Rule]) -> None:
        """`rules` as configured; what is remembered is applied to them. Raises OccultaError."""
        self.notices: list[str] = []
        """What was forgotten, a line each."""
        self._state = state
        self._rules = rules
        self._configured = tuple(rules)
        self._commanded: dict[str, _Commanded] = {}
        self._recall()

    def set(self, name: str, scheme: str, profile: str) -> None:
        """Set a rule's scheme, found by its name or its number from 1.

        Raises ValueError for what cannot be, OccultaError where it cannot be made durable.
        """
        index = self._find(name)
        changed = _changed(self._rules[index], scheme, profile)
        configured = self._configured[index]
        commanded = _Commanded(changed.scheme, changed.profile, _digest(configured))
        self._save(self._commanded | {_key(index, configured): commanded})
        self._rules[index] = changed

    def _find(self, name: str) -> int:
        for index, rule in enumerate(self._rules):
            if name in (rule.name, str(index + 1)):
                return index
        raise ValueError("no such rule")

    def _save(self, commanded: dict[str, _Commanded]) -> None:
        self._state.put({_KEY: msgspec.msgpack.encode(commanded)})
        self._commanded = commanded

    def _recall(self) -> None:
        data = self._state.get(_KEY)
        if data is None:
            return
        found = self._read(data)
        kept = {}
        for index, rule in enumerate(self._configured):
            key = _key(index, rule)
            if key in found and found[key].configured == _digest(rule):
                with suppress(Faults):  # a later version may be stricter
                    self._rules[index] = msgspec.structs.replace(
                        rule, scheme=found[key].scheme, profile=found[key].profile
                    )
                    kept[key] = found[key]
        self.notices += [
            f"rule {key}: {found[key].scheme}, which was commanded, holds no longer, for the"
            " configuration has changed" for key in sorted(found.keys() - kept.keys())
        ]
        if self.notices:
            self._save(kept)
        self._commanded = kept

    def _read(self, data: bytes) -> dict[str, _Commanded]:
        try:
            return msgspec.msgpack.decode(data, type=dict[str, _Commanded])
        except (ValueError, RecursionError):  # both of msgspec's errors, and bad UTF-8
            self.notices.append("rules: what was commanded cannot be read, and holds no longer")
            return {}


def _changed(rule: Rule, scheme: str, profile: str) -> Rule:
    """Raises ValueError."""
    if scheme not in SCHEMES:
        raise ValueError("no such scheme")
    if profile not in (_PROFILES if scheme == REVERSIBLE else (NO_PROFILE,)):
        raise ValueError("no such profile")
    kept = profile if scheme == REVERSIBLE else rule.profile
    return msgspec.structs.replace(rule, scheme=scheme, profile=kept)


def _key(index: int, rule: Rule) -> str:
    """A name holds no `#`."""
    return rule.name or f"#{index + 1}"


def _digest(rule: Rule) -> bytes:
    """Of what a rule says beyond defaults: an option that a later version adds changes nothing."""
    said = {
        field.name: getattr(rule, field.name) for field in msgspec.structs.fields(rule)
        if getattr(rule, field.name) != field.default
    }
    return hashlib.sha256(msgspec.msgpack.encode(said, order="deterministic")).digest()
