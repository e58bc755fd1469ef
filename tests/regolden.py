"""Frozen files: makes tests/golden/*.json anew.

    python -m tests.regolden

Each file holds a small picture (made by tests/encoder.py), private data, the sealed header (HPKE is
random, so its bytes are frozen; they are kept when a file is made anew), what marking gave, and
SHA-256 of everything. test_golden.py says what must hold. What a release has frozen is never made
anew: it must recover for ever. Until then a change of the format or the plan needs this program.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from occulta.codec import crypto
from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable, dht_segment
from occulta.limits import Limits
from occulta.schemes.reversible.hidden import declare
from onboard import selftest
from onboard.selftest import VECTORS
from tests.encoder import BitWriter, Block, Picture, random_blocks, segment, wide_tables
from tests.support import fixed_header, fixed_sealer, mark

GOLDEN = Path(__file__).with_name("golden")
BYTES = ("original", "private", "header", "marked")
FLYING = ("exact-gray", "exact-restart", "exact-progressive", "paper-gray")
"""Pictures of the flight software's own known answers."""
STREAMING = {"hold_back": 8192, "quantum": 1024}


def progressive(blocks: list[Block], across: int) -> bytes:
    """DC without its lowest bit, all of AC, then the bit: three scans of one component."""
    height, width = 8 * len(blocks) // across, 8 * across
    frame = bytes([8]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\0"
    tables = dht_segment([(kind, 0, ANNEX_K[kind, 0]) for kind in (0, 1)])
    head = b"\xff\xd8" + segment(0xDB, b"\0" + bytes([8] * 64)) + segment(0xC2, frame) + tables
    first = _scan(b"\x00\x00\x01") + _dc_bits(blocks)
    second = _scan(b"\x01\x3f\x00") + _ac_bits(blocks)
    third = _scan(b"\x00\x00\x10") + _low_bits(blocks)
    return head + first + second + third + b"\xff\xd9"


def _scan(selection: bytes) -> bytes:
    return segment(0xDA, b"\x01\x01\x00" + selection)


def _put(out: BitWriter, table: HuffmanTable, run: int, value: int) -> None:
    size = abs(value).bit_length()
    out.put(*table.by_symbol[run << 4 | size])
    out.put(value if value >= 0 else value - 1, size)


def _dc_bits(blocks: list[Block]) -> bytes:
    out, previous = BitWriter(), 0
    for block in blocks:
        _put(out, ANNEX_K[0, 0], 0, (block[0] >> 1) - previous)
        previous = block[0] >> 1
    return out.take(0x7F)


def _ac_bits(blocks: list[Block]) -> bytes:
    out, table = BitWriter(), ANNEX_K[1, 0]
    for block in blocks:
        run = 0
        for value in block[1:]:
            if value:
                for _ in range(run // 16):
                    out.put(*table.by_symbol[0xF0])
                _put(out, table, run % 16, value)
            run = 0 if value else run + 1
        if run:
            out.put(*table.by_symbol[0])
    return out.take(0x7F)


def _low_bits(blocks: list[Block]) -> bytes:
    out = BitWriter()
    for block in blocks:
        out.put(block[0] & 1, 1)
    return out.take(0x7F)


def _quiet(count: int, last: int) -> list[Block]:
    return random_blocks(11, count, last=last, spread=4)


def _ambiguous() -> list[Block]:
    """Ordinary blocks, and one in ten that ends with a two or three at 62 and something at 63."""
    blocks = _quiet(800, 3)
    for at in range(0, 800, 10):
        blocks[at] = [1] + [0] * 61 + [(-3, -2, 2, 3)[at // 10 % 4], at // 40 - 2]
    return blocks


def pictures() -> dict[str, tuple[str, bytes, bytes, dict[str, int]]]:
    """Name -> (profile, original, private data, limits)."""
    gray, colours = _quiet(150, 20), [random_blocks(seed, 120, last=12) for seed in (1, 2, 3)]
    long = random_blocks(4, 1600, last=30)
    deep = random_blocks(5, 90, last=40, spread=700)
    own = ANNEX_K | {(1, 0): ANNEX_K[1, 1], (0, 0): ANNEX_K[0, 1]}
    return {
        "exact-gray": ("exact", Picture([gray], 15).to_jpeg(), b"golden", {}),
        "exact-empty": ("exact", Picture([gray], 15).to_jpeg(), b"", {}),
        "exact-restart": ("exact", Picture(colours, 12, interval=7).to_jpeg(), b"restart", {}),
        "exact-scans": ("exact", Picture(
            colours, 12, interleaved=False, redeclare=True).to_jpeg(), b"scans", {}),
        "exact-tables": ("exact", Picture([gray], 15, tables=own).to_jpeg(), b"tables", {}),
        "exact-mjpeg": ("exact", Picture([gray], 15, declare_tables=False).to_jpeg(), b"none", {}),
        "exact-padding": ("exact", Picture(
            [gray], 15, interval=9, padding=0x2A).to_jpeg() + b"trailer", b"padding", {}),
        "exact-deep": ("exact", Picture(
            [deep], 9, tables=wide_tables(), precision=12).to_jpeg(), b"twelve", {}),
        "exact-progressive": ("exact", progressive(_quiet(300, 20), 20), b"progressive", {}),
        "exact-streaming": ("exact", Picture([long], 40).to_jpeg(), b"streaming" * 20, STREAMING),
        "paper-gray": ("paper", Picture([_quiet(800, 4)], 40).to_jpeg(), b"golden", {}),
        "paper-ambiguous": ("paper", Picture(
            [_ambiguous()], 40, tables=wide_tables(), interval=50).to_jpeg(), b"seven", {}),
        "paper-streaming": ("paper", Picture(
            [random_blocks(6, 3200, last=12)], 80).to_jpeg(), b"streaming", STREAMING),
    }


def load(path: Path) -> dict[str, Any]:
    """A frozen file, its bytes decoded."""
    content = json.loads(path.read_text("utf-8"))
    return content | {name: base64.b64decode(content[name]) for name in BYTES}


def remark(case: dict[str, Any], kernel: str | None = None) -> bytes:
    """What marking gives today for a frozen file."""
    sealer = fixed_sealer(case["profile"], header=case["header"])
    return mark(case["original"], case["private"], case["profile"],
                limits=Limits(**case["limits"]), kernel=kernel, sealer=sealer)


def _header(path: Path, profile: str, size: int) -> bytes:
    if path.exists():
        kept: bytes = load(path)["header"]
        if int.from_bytes(kept[12:16], "big") == declare(size) and kept[:2] == crypto.MAGIC:
            return kept
    return fixed_header(profile, declare(size))


def freeze(path: Path, profile: str, original: bytes, private: bytes, limits: Any) -> None:
    """Write one file."""
    case = {"profile": profile, "limits": limits, "original": original, "private": private,
            "header": _header(path, profile, len(private))}
    case["marked"] = remark(case)
    content = {"profile": profile, "limits": limits}
    for name in BYTES:
        content[name] = base64.b64encode(case[name]).decode()
        content[name + "_sha256"] = hashlib.sha256(case[name]).hexdigest()
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def freeze_selftest() -> None:
    """Write the known answers that fly; headers are kept, as those above are."""
    kept = json.loads(VECTORS.read_text("utf-8")) if VECTORS.exists() else {}
    vectors: dict[str, Any] = {"pictures": {}}
    for name in FLYING:
        profile, original, private, _ = pictures()[name]
        head = kept.get("pictures", {}).get(name, {}).get("header") or encoded(sealed_header(
            selftest.reversible_context(profile), declare(len(private))))
        vectors["pictures"][name] = {"profile": profile, "original": encoded(original),
                                     "private": encoded(private), "header": head}
    vectors["sealed_header"] = kept.get("sealed_header") or encoded(sealed_header(
        selftest.SEALED_CONTEXT, crypto.UNKNOWN_SIZE))
    vectors["answers"] = {name: hashlib.sha256(compute()).hexdigest()
                          for name, compute in selftest.answers(vectors)}
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n", "utf-8")


def sealed_header(context: crypto.Context, declared: int) -> bytes:
    """A header around the self-test's file key, for its recipient."""
    key = selftest.RECIPIENT.public
    fixed = crypto.MAGIC + bytes([context.scheme, context.profile]) + context.product_id
    fixed += declared.to_bytes(4, "big") + b"\x01"
    return fixed + crypto._wrap(key, context, fixed, selftest.FILE_KEY)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    """Make all files anew."""
    GOLDEN.mkdir(exist_ok=True)
    for name, entry in pictures().items():
        freeze(GOLDEN / f"{name}.json", *entry)
    freeze_selftest()


if __name__ == "__main__":
    main()
