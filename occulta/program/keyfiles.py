"""Key files: one line of text, `occulta-KIND-1 HEX`; private ones readable by their owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeVar

from occulta.codec.crypto import PrivateKey, PublicKey, SigningKey, VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.program.files import make_folder, output, publish_together

Key = PrivateKey | PublicKey | SigningKey | VerifyingKey
K = TypeVar("K", PrivateKey, PublicKey, SigningKey, VerifyingKey)
_TAGS: dict[type[Key], str] = {
    PrivateKey: "occulta-recipient-key-1",
    PublicKey: "occulta-recipient-pub-1",
    SigningKey: "occulta-satellite-key-1",
    VerifyingKey: "occulta-satellite-pub-1",
}
_NAMES: dict[type[Key], str] = {
    PrivateKey: "recipient's private key (recipient.key)",
    PublicKey: "recipient's public key (recipient.pub)",
    SigningKey: "satellite's private key (satellite.key)",
    VerifyingKey: "satellite's public key (satellite.pub)",
}
_SECRET = (PrivateKey, SigningKey)
_MAX_SIZE = 256


def encode_key(key: Key) -> bytes:
    """The content of a key's file."""
    return f"{_TAGS[type(key)]} {key.raw.hex()}\n".encode()


def read_key(path: str, kind: type[K]) -> K:
    """Read a key file; raises OccultaError: KEY_UNREADABLE, KEY_PERMISSIONS, KEY_MALFORMED."""
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MAX_SIZE)
    except OSError as error:
        raise OccultaError(
            Reason.KEY_UNREADABLE, f"cannot read the key {path}: {error.strerror}"
        ) from None
    words = content.decode("ascii", "replace").split()
    found = next((named for named, tag in _TAGS.items() if words[:1] == [tag]), None)
    if found is None or len(words) != 2:
        raise OccultaError(Reason.KEY_MALFORMED, f"{path} is not a key file")
    if found is not kind:
        raise OccultaError(
            Reason.KEY_KIND, f"{path} is a {_NAMES[found]}, and a {_NAMES[kind]} is needed"
        )
    if issubclass(kind, _SECRET) and stat.S_IMODE(mode) & 0o077:
        raise OccultaError(Reason.KEY_PERMISSIONS, f"others may read the key {path}")
    try:
        return kind(bytes.fromhex(words[1]))
    except ValueError:
        raise OccultaError(Reason.KEY_MALFORMED, f"{path} is not valid hexadecimal") from None


def read_sealing_keys(
    to: list[str], sign: str | None, most: int
) -> tuple[list[PublicKey], SigningKey | None]:
    """Recipients and the satellite's key; raises OccultaError as `read_key`, USAGE if too many."""
    recipients = [read_key(path, PublicKey) for path in to]
    if len(recipients) > most:
        raise OccultaError(Reason.USAGE, f"at most {most} recipients")
    return recipients, read_key(sign, SigningKey) if sign else None


def write_pair(folder: Path, name: str, secret: PrivateKey | SigningKey) -> tuple[Path, Path]:
    """Write NAME.key (0600) and NAME.pub; raises OccultaError, e.g. OUTPUT_EXISTS."""
    make_folder(folder, 0o700)
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    with output(private, 0o600) as secret_file, output(public) as public_file:
        secret_file.write(encode_key(secret))
        public_file.write(encode_key(secret.public))
        publish_together([secret_file, public_file], lambda: None)
    return private, public
