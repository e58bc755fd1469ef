"""Protection of link packets: AES-256-GCM per packet, derived from CCSDS 355.0-B (SDLS).

SDLS protects frames, this protects space packets (CCSDS 133.0-B-2). Both ends keep a small durable
state; the programs read and write it, and nothing is sent or delivered that it does not cover.
"""

from __future__ import annotations

from occulta.link.security.keys import Direction, LinkKey, Role
from occulta.link.security.receiver import Opened, Receiver, authorise
from occulta.link.security.sender import Sender
from occulta.link.security.state import (
    StateNotSaved,
    StateUnusable,
    initialise_receiver,
    initialise_sender,
)
from occulta.link.security.wire import MAX_PLAIN_SIZE, OVERHEAD

__all__ = [
    "MAX_PLAIN_SIZE",
    "OVERHEAD",
    "Direction",
    "LinkKey",
    "Opened",
    "Receiver",
    "Role",
    "Sender",
    "StateNotSaved",
    "StateUnusable",
    "authorise",
    "initialise_receiver",
    "initialise_sender",
]
