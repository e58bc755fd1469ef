"""CCSDS File Delivery Protocol, Class 1 and Class 2 (727.0-B-5), without I/O.

`Entity` is the front door: see entity.py.
"""

from occulta.link.cfdp.entity import ENTITY_KEY, Entity, Outgoing, Snapshot
from occulta.link.cfdp.pdu import TransactionId
from occulta.link.cfdp.request import PutRequest, Report
from occulta.link.cfdp.settings import Limits, Remote
from occulta.link.cfdp.store import FileSink, FileSource, Filestore, FilestoreError

__all__ = [
    "ENTITY_KEY",
    "Entity",
    "FileSink",
    "FileSource",
    "Filestore",
    "FilestoreError",
    "Limits",
    "Outgoing",
    "PutRequest",
    "Remote",
    "Report",
    "Snapshot",
    "TransactionId",
]
