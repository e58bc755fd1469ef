"""The pages of docs/results, written from results."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from bench.data import ROOT
from bench.report import Result, Table, markdown_table

FOLDER = ROOT / "docs" / "results"

PAPER_TEXT = """\
# Profile `paper` beside the paper's Table 5

The paper hides two bits in a block by giving it one more coefficient behind its last one, one of \
-3, -2, 2, 3. Here every block of a 512x512 grayscale JPEG that can carry does so. PSNR is \
measured between the decoded original and the decoded marked file. "Paper" columns are its ten \
pictures; ours are other pictures, encoded with the same standard tables.
"""

PAPER_WHY = """\
## Why the printed PSNR cannot come from the scheme as described

The DCT of JPEG keeps squared error: a coefficient that changes by v steps of size q changes the \
pixels of its block by v^2 q^2 in all. The four values are equally likely with sealed data, so \
v^2 is (4 + 9) / 2 = 6.5 on average. Every block used is 4096 such changes over 512 x 512 pixels, \
and no AC step is smaller than the smallest of the table, q:

    PSNR <= 10 log10( 255^2 * 512 * 512 / (4096 * 6.5 * q^2) )

Rounding to whole pixels and clipping at black and white move this by a fraction of a decibel. \
The real value is lower, because the new coefficient stands behind the last one of its block, \
where the steps are larger. Where the paper prints more than the bound with (nearly) 8192 bits \
hidden, the figure cannot come from these changes and these tables. The table below counts such \
figures, the paper's and ours (for the blocks that we used).

The capacities agree at low quality. At quality 90 the paper prints 8184 to 8190 bits for every \
picture; many blocks of real remote-sensing pictures then have a coefficient at index 62 or 63 and \
cannot carry.
"""

EXACT_TEXT = """\
# What profile `exact` costs

The marked file decodes to the same pixels (PSNR infinite); what it costs is bytes. The pictures \
are the lossless 512x512 crops, encoded as grayscale with the standard Huffman tables. Hidden bits \
are all that is carried: side information, sealed header, private data and conclusion. The cost \
is the marked file's size less that of `jpegtran -optimize`, both whole files, per hidden bit; the \
growth is against the original file.

A file that fits the look-ahead is planned with all of it in view. "Streams past it" cuts the \
look-ahead to half of the entropy-coded data of the same small file: its tables are planned on \
the first half of the picture and serve the second. The mosaic is 168 such pictures in one file \
and the default look-ahead of one mebibyte.

Streaming costs more for two reasons, both because one pass does not know what is to come. The \
rest of the picture may have more carriers than the part seen promised; they are then used with \
nothing to say (idle), and count as cost here. And tables that suit the part seen suit the rest \
less, which a one-pass encoder pays with or without hidden bits. Where the rest has fewer carriers \
than promised, the file is marked again with a more generous plan.
"""

SPEED_TEXT = """\
# Speed and memory

Times are CPU time, user and system. `jpegtran -copy all` runs from file to file right before and \
after each of our runs; the ratio is the median over the paired runs. "Kernel" is the time inside \
the kernel calls, surveys included, and is what the bound is for; "whole object" adds sealing, \
digests and everything else of marking or recovery, in memory. "User only" compares the kernel \
with jpegtran's user time alone: part of jpegtran's system time is for memory that grows with the \
picture, part for files.
"""

LINK_TEXT = """\
# File delivery

A file from one CFDP entity to another in one process: what a link would carry is handed over as \
octets, and nothing waits. CPU time is user and system, of both ends together, with reading, \
checksums, NAKs and verification. cfdp-py does the same with a smaller file; larger ones are no \
faster with it. The ratio is the median over runs in turn, each against the faster of its two ways \
to ask for what is missing.
"""

DAEMON_TEXT = """\
# The daemons

The flight daemon, the link and the ground node as processes of their own on one machine, over \
ZeroMQ with CURVE. Frames are noise with a picture's spectrum; they carry no private data. The \
link is the preset `x-band` (150 Mbit/s, 1 % loss in bursts); the products wait on board, held by \
telecommand, and the time runs from the telecommand that lets them go. CPU is user and system time \
of a process over that time, so that 1.00 is one core in full use; all three processes, the relay \
included, share the cores of the machine. Resident memory is what the daemon says of itself.
"""

SHARES_TEXT = """\
# Verifiable shares

Profile `jpeg` of docs/shares.md on the collection of JPEG files, on mosaics of real pictures and \
under random tampering; profile `paper` on medical images. One recipient, unsigned.

A tamper alters one share: of two (the sealed key or the key stream, and the ciphertext), or one \
of a 2-of-3 set, of which the others make good what it lost. "To cells": the cells reported are \
exactly those that differ. "To lost step": so are they up to the place where entropy decoding \
stopped; behind it the segment may be reported whole. "To the segment": the segment is missing, \
its head or its hashes were altered, or it holds no rows of cells. What really differs is told by \
a decoder of its own that knows neither keys nor hashes. "Undamaged lost" counts segments that \
the tamper left whole, wherever they then stood, and that were not restored.

The tests of NIST SP 800-22 run on the body of share B, whose bytes a holder can look at. "At \
least" is the proportion that 4.2.1 asks for over all pictures; the columns of single pictures \
may lie below it by chance.

Times are CPU time in memory; jpegtran works from file to file, right before and after each of \
our runs. "Cells alone" is the part of splitting that reads the scan and hashes its coefficients; \
the bound is for the whole of splitting. The programs' memory includes the interpreter.
"""

TURBO_TEXT = """\
# The turbo code

Blocks of random bits over a binary symmetric channel (BSC) of the crossover probability given, \
with LLRs that fit it. A block counts as an error if one of its bits is wrong. The batch decoder \
works on sixteen blocks abreast; its decisions are those of `maxlog` on one block. "maxlog, then \
logmap" is `decode_twice`: log-MAP decodes again what did not settle. At a crossover probability \
of 0.25 every block takes all iterations, and each of them comes to log-MAP. The bounds on speed \
are for the best run of max-log there, since whatever else the machine does only slows it; the \
median stands beside it. The baseline build is the one that is installed; the build for AVX2 is \
made for the measurement alone and decides the same. scikit-commpy decodes a block of the same \
code, with another interleaver.
"""

ROBUST_TEXT = """\
# Robust hiding: speed, memory, false acceptance

Embedding takes a file in chunks, in memory: reading, requantising, marking and coding it, with \
the message sealed and coded; CPU time, user and system. Recovery begins with the bytes of a file, \
as the command reads it, and is told neither profile nor size of the message; a picture that has \
moved needs the search of the 64 grids, one with nothing hidden takes all of it. "(lost)" stands \
where the time ended in no message. The programs' time and memory include the interpreter.

Random vectors are normal LLRs of four strengths, in turn as they are, with none of some coded \
bits, of equal strength, and heavy-tailed. The receiver decides on each by max-log, on its \
likeliest guess also by log-MAP at three strengths; a decision is a message where its CRC is right \
and its seal opens. The seal is also asked alone, about one max-log decision in four and all \
others of the table. Vectors with a message in them, one sign in ten wrong, show that the same \
steps do read one.

Files are of all profiles, in pictures as small as the smallest message allows. One in ten is \
random bytes, one in ten an unmarked picture or one for another key; the others are damaged \
anywhere, headers included. All are searched as far as the command searches.
"""

SURVIVAL_TEXT = """\
# Robust hiding: quality and survival

What `occulta-sim evaluate robust` does (docs/robust.md), on the 512x512 pictures of two folders: \
luminance, marked as plain JPEG of quality 90, which PSNR and SSIM compare with, the largest \
message, attacked, read. A picture counts where every seed's message came back exactly; grids that \
moved (`crop`, `shift`) are tried with the first seed only. The margin is information received \
over information needed; decoding fails below about 0.5 dB.
"""


def write(results: dict[str, Result], fresh: Collection[str]) -> list[Path]:
    """Write the pages with a fresh result and all others they need; return their paths."""
    pages: dict[str, tuple[tuple[str, ...], Callable[..., str]]] = {
        "paper-000.md": (("paper",), _paper),
        "exact.md": (("growth", "capacity"), _exact),
        "speed.md": (("speed", "memory"), _speed),
        "link.md": (("link",), _link),
        "daemon.md": (("daemon",), _daemon),
        "shares.md": (("shares",), _shares),
        "turbo.md": (("turbo",), _turbo),
        "robust.md": (("robust",), _robust),
        "robust-survival.md": (("robust-survival",), _survival),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (needed, page) in pages.items():
        found = [results[key] for key in needed if key in results]
        complete = len(found) == len(needed) and all(result.tables for result in found)
        if complete and not set(needed).isdisjoint(fresh):
            (FOLDER / name).write_text(page(*found), encoding="utf-8")
            written.append(FOLDER / name)
    return written


def _paper(result: Result) -> str:
    measured, impossible = result.tables[:-1], result.tables[-1]
    parts = [PAPER_TEXT, *map(_section, measured), PAPER_WHY, markdown_table(impossible)]
    parts.append(_section(result.figure_table()))
    return _page(parts, result)


def _exact(growth: Result, capacity: Result) -> str:
    parts = [EXACT_TEXT, *map(_section, [*growth.tables, growth.figure_table()])]
    parts += [_list(growth.notes), *map(_section, capacity.tables), _list(capacity.notes)]
    return _page(parts, growth)


def _speed(speed: Result, memory: Result) -> str:
    parts = [SPEED_TEXT, *map(_section, speed.tables), _list(speed.notes)]
    parts += [*map(_section, [*memory.tables, memory.figure_table()]), _list(memory.notes)]
    return _page(parts, speed)


def _link(result: Result) -> str:
    tables = [*result.tables, result.figure_table()]
    return _page([LINK_TEXT, *map(_section, tables), _list(result.notes)], result)


def _daemon(result: Result) -> str:
    tables = [*result.tables, result.figure_table()]
    return _page([DAEMON_TEXT, *map(_section, tables), _list(result.notes)], result)


def _shares(result: Result) -> str:
    tables = [*result.tables, result.figure_table()]
    return _page([SHARES_TEXT, *map(_section, tables), _list(result.notes)], result)


def _turbo(result: Result) -> str:
    tables = [*result.tables, result.figure_table()]
    return _page([TURBO_TEXT, *map(_section, tables), _list(result.notes)], result)


def _robust(result: Result) -> str:
    tables = [*result.tables, result.figure_table()]
    return _page([ROBUST_TEXT, *map(_section, tables)], result)


def _survival(result: Result) -> str:
    tables = [result.figure_table(), *result.tables]
    return _page([SURVIVAL_TEXT, *map(_section, tables)], result)


def _section(table: Table) -> str:
    return f"## {table.title}\n\n{markdown_table(table)}"


def _list(notes: list[str]) -> str:
    return "\n".join(f"- {note}" for note in notes)


def _page(parts: list[str], result: Result) -> str:
    machine = ", ".join(result.machine.values())
    end = f"Measured on: {machine}. Written by `python3 dev.py bench all --write-docs`."
    return "\n\n".join([*(part.strip() for part in parts if part), end]) + "\n"
