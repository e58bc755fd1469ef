"""One archived product through its recovery: carrier.jpg, private.bin and report.json, or why not.

A share is not recovered here: it is checked, and its report says how many of them it takes.

All that a recovery puts out is published together; report.json comes last and says which files
count. A failure of this side (exit status 2 or 6) changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ground import recover
from ground.inbox import Pair, Rejected, check_digest, check_size, read_pair
from ground.items import COMPLETE, ItemStore, is_records, read_records, source_of
from ground.opening import open_sealed, with_some_key
from ground.outcome import Outcome, encode_report, outcome_of, verdict
from ground.product import (
    CARRIER,
    PLAIN,
    PRIVATE,
    REPORT,
    REVERSIBLE,
    SEALED,
    SHARES,
    Job,
    State,
    product_folder,
    received_name,
)
from ground.report import Report
from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.errors import ExitCode, OccultaError, Reason
from occulta.program import files, keyfiles
from occulta.schemes.shares.header import FIXED_SIZE, parse_clear

Outputs = list[files.OutputFile]
_OWN_FAULTS = (ExitCode.USAGE, ExitCode.MACHINE)
_PAYLOAD = ".payload"


@dataclass
class Task:
    """A recovery at work; `said` becomes the report."""

    job: Job
    archive: Path
    pair: Pair
    keys: Sequence[PrivateKey]
    stack: ExitStack
    said: dict[str, Any]
    report: files.OutputFile

    @property
    def folder(self) -> Path:
        """The product's."""
        return product_folder(self.archive, self.job.product)

    @property
    def signer(self) -> VerifyingKey | None:
        """Whose signature must be inside; None for a product that is not authentic."""
        return None if self.job.key is None else VerifyingKey(self.job.key)

    def open_received(self) -> BinaryIO:
        """What was received, after a look at its size; raises OccultaError."""
        path = self.folder / received_name(self.pair.manifest.scheme)
        try:
            check_size(path, self.pair.data.size)
        except OSError as error:
            raise files.read_failure(error, path.name) from None
        except Rejected as error:
            raise OccultaError(Reason.TRUNCATED, f"{path.name}: {error.detail}") from None
        return self.stack.enter_context(files.open_input(str(path)))

    def output(self, name: str) -> files.OutputFile:
        """A file of the product's folder, not to be published yet."""
        return self.stack.enter_context(_output(self.folder / name))


Scheme = Callable[[Task], Outputs]
"""Recovers, fills in what is said, and returns what is to be published."""


def _output(path: Path) -> AbstractContextManager[files.OutputFile]:
    return files.output(path, 0o600, replace=True)


def restore(archive: Path, job: Job, key_files: Sequence[Path]) -> Outcome:
    """Recover a product; raises nothing for what may be wrong with it."""
    said: dict[str, Any] = {
        "product": job.product, "received_at": job.received_at, "authentic": False,
        "revoked": job.revoked,
    }
    folder = product_folder(archive, job.product)
    try:
        with ExitStack() as stack:
            files.sweep(folder)
            keys = [keyfiles.read_key(str(path), PrivateKey) for path in key_files]
            pair = _read_pair(folder)
            said |= _facts(pair)
            report = stack.enter_context(_output(folder / REPORT))
            return _restore(Task(job, archive, pair, keys, stack, said, report))
    except OSError as failure:
        error = files.write_failure(failure, folder)
    except OccultaError as failure:
        error = failure
    except MemoryError:
        error = OccultaError(Reason.OUT_OF_MEMORY, "out of memory")
    return _outcome(said | _failure(error))


def _restore(task: Task) -> Outcome:
    outputs: Outputs = []
    try:
        task.said |= {"state": State.RECOVERED.value, "error": None}
        outputs = _scheme(task.pair.manifest.scheme)(task)
        task.said["verdict"] = verdict(task.said)
    except OccultaError as error:
        if error.reason.exit_code in _OWN_FAULTS:
            raise
        task.said |= _failure(error)
    _publish(task, outputs)
    return _outcome(task.said)


def _scheme(name: str) -> Scheme:
    if name not in _SCHEMES:
        hint = "a later version may know it; what was received stays in the archive"
        raise OccultaError(Reason.BAD_HIDDEN_DATA, f"the scheme {name} is unknown", hint)
    return _SCHEMES[name]


def _facts(pair: Pair) -> dict[str, Any]:
    """What the manifest says."""
    manifest = pair.manifest
    return {
        "frame_id": manifest.frame_id, "captured_at": manifest.captured_at,
        "created_at": manifest.created_at, "signer": pair.signer.hex(),
        "scheme": manifest.scheme, "profile": manifest.profile, "private": [], "items": [],
        "carrier": None,
    }


def _read_pair(folder: Path) -> Pair:
    try:
        return read_pair(folder, {})
    except OSError as error:
        raise files.read_failure(error, folder) from None
    except Rejected as error:
        raise OccultaError(Reason.INPUT_UNREADABLE, f"the manifest: {error.detail}") from None


def _failure(error: OccultaError) -> dict[str, Any]:
    state = State.NO_KEY if error.reason is Reason.WRONG_KEY else State.FAILED
    said = {"number": error.reason.value, "detail": error.detail, "hint": error.hint}
    found: dict[str, Any] = {"state": state.value, "authentic": False, "error": said}
    return found | {"verdict": verdict(found)}


def _outcome(said: dict[str, Any]) -> Outcome:
    found = outcome_of(said)
    if found is None:
        raise ValueError("a report without its own fields")
    return found


# --- schemes


def _recover_plain(task: Task) -> Outputs:
    """Nothing was done to the frame: what was received is the carrier, as its manifest says."""
    _check_received(task)
    task.said |= {
        "intact": True, "authentic": task.signer is not None, "signed": True,
        "carrier": received_name(PLAIN), "carrier_bytes": task.pair.data.size,
        "carrier_sha256": task.pair.data.sha256.hex(),
    }
    return []


def _check_received(task: Task) -> BinaryIO:
    """What came is what the manifest vouches for; raises OccultaError."""
    received = task.open_received()
    try:
        check_digest(Path(received.name), task.pair.data.sha256)
    except Rejected as error:
        raise OccultaError(Reason.DIGEST_MISMATCH, error.detail) from None
    return received


def _describe_share(task: Task) -> Outputs:
    """One holder's share, which no key opens by itself; what it is one of stands in the clear."""
    received = _check_received(task)
    clear = parse_clear(files.read_some(received, FIXED_SIZE, received.name))
    task.said |= {
        "state": State.SHARE.value, "authentic": task.signer is not None, "signed": True,
        "share": {
            "set": clear.set_id.hex(), "number": clear.index + 1, "holders": clear.holders,
            "threshold": clear.threshold, "form": clear.form.name.lower(),
        },
    }
    return []


def _recover_sealed(task: Task) -> Outputs:
    """The whole frame was sealed."""
    carrier = task.output(CARRIER)
    opened = open_sealed(task.open_received(), carrier, task.keys, task.signer)
    if task.signer is not None and not opened.is_authentic:
        raise OccultaError(Reason.SIGNATURE_BROKEN, "the frame is not signed as its manifest is")
    task.said |= {
        "intact": True, "authentic": opened.is_authentic, "signed": opened.is_signed,
        "product_id": opened.product_id.hex(), "carrier": CARRIER,
        "carrier_bytes": opened.size, "carrier_sha256": opened.digest.hex(),
    }
    return [carrier]


def _recover_reversible(task: Task) -> Outputs:
    """Private data hidden in the frame."""
    received = task.open_received()
    carrier, payload = task.output(CARRIER), task.output(_PAYLOAD)
    sealed = task.stack.enter_context(files.spool(task.folder))
    work = recover.Work(received, received.name, carrier, payload, task.report, sealed)
    known = [task.signer] if task.signer else []

    def attempt(key: PrivateKey) -> None:
        for file in (carrier, payload, sealed):
            file.restart()
        received.seek(0)
        found = Report()
        try:
            recover.recover(work, key, known, found)
        finally:
            profile = found.profile or task.pair.manifest.profile
            task.said |= found.as_dict() | {"profile": profile}

    with_some_key(task.keys, attempt)
    task.said["carrier"] = CARRIER
    return [carrier, *_take_payload(task, payload.read_again())]


_SCHEMES: dict[str, Scheme] = {
    REVERSIBLE: _recover_reversible, SEALED: _recover_sealed, PLAIN: _recover_plain,
    SHARES: _describe_share,
}


# --- private data


def _take_payload(task: Task, payload: BinaryIO) -> Outputs:
    """Items in pieces, from the daemon, or the private file itself, from `protect`."""
    size = files.size_of(payload) or 0
    if not is_records(payload, size):
        payload.seek(0)
        return [_copy_private(task, payload)]
    source = source_of(task.pair.signer, task.signer is not None)
    records = read_records(payload, size)
    outputs = []
    with closing(ItemStore(task.archive)) as store:
        items = store.take(source, task.job.product, records, task.keys, task.signer)
        for item in items:
            if item.state == COMPLETE and item.product == task.job.product:
                with files.open_input(str(store.path(item))) as opened:
                    outputs.append(_copy_private(task, opened))
    task.said["items"] = [item.as_dict() for item in items]
    return outputs


def _copy_private(task: Task, content: BinaryIO) -> files.OutputFile:
    """`private.bin`, and `private-2.bin` and so on for a product that completes several items."""
    names: list[str] = task.said["private"]
    name = f"private-{len(names) + 1}.bin" if names else PRIVATE
    out = task.output(name)
    for chunk in files.chunks_of(content, name):
        out.write(chunk)
    names.append(name)
    return out


# --- the product's folder


def _publish(task: Task, outputs: Outputs) -> None:
    """Put out everything, the report last; what an earlier recovery left goes."""
    task.report.write(encode_report(task.said))
    files.publish_together([*outputs, task.report], lambda: None)
    kept = {file.path.name for file in outputs}
    for path in task.folder.iterdir():
        if (path.name == CARRIER or path.match("private*.bin")) and path.name not in kept:
            path.unlink()
