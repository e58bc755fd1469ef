"""Entity numbers that belong to another destination than when shares were stored for them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from onboard.spool import Spool

_KEY = "destinations"


def hold_renamed(spool: Spool, names: Mapping[int, str]) -> None:
    """Hold a number that has another name than before, while shares wait for it; with a notice.

    All that the spool knows of a share's holder is the number, and a configuration may give that to
    somebody else. `names` are those of all destinations. Raises OccultaError.
    """
    before = _known(spool)
    if before == names:
        return
    with spool.transaction():
        for number, name in names.items():
            if before.get(number, name) != name and spool.deliveries.hold_shares(number):
                spool.note(
                    f"destination {number} was {before[number]}, for which shares wait, and is"
                    f" {name} now: it is on hold until resume destination={number}"
                )
        spool.state.put({_KEY: msgspec.msgpack.encode(dict(names))})


def _known(spool: Spool) -> dict[int, str]:
    data = spool.state.get(_KEY)
    try:
        return {} if data is None else msgspec.msgpack.decode(data, type=dict[int, str])
    except (ValueError, RecursionError):  # both of msgspec's errors, and bad UTF-8
        spool.note("the names that destinations had cannot be read")
        return {}
