"""Numbered reasons: every way in which input, a request or the machine can be refused.

Two families reach a caller: `OccultaError` (bad input, a request that does not fit, a failed
verification: always with a `Reason`) and plain `ValueError`/`TypeError` (misuse of the library).
Anything else that escapes from untrusted bytes is a bug.
"""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class ExitCode(IntEnum):
    """Process exit status of every Occulta command."""

    DONE = 0
    USAGE = 2
    REFUSED = 3
    DOES_NOT_FIT = 4
    NOT_VERIFIED = 5
    MACHINE = 6


@unique
class Reason(IntEnum):
    """Stable numbers of refusal. A retired number is never used again.

    2xx usage, 3xx input refused or damaged, 4xx does not fit, 5xx wrong key or not verified,
    6xx failure of the machine. The first digit is the exit code.
    """

    USAGE = 200
    KEY_UNREADABLE = 202
    KEY_PERMISSIONS = 203
    KEY_MALFORMED = 204
    OUTPUT_EXISTS = 205
    KEY_KIND = 206
    CONFIG_INVALID = 207
    LINK_STATE = 208
    BAD_REGION = 209

    EMPTY_INPUT = 300
    NOT_JPEG = 301
    TRUNCATED = 302
    BAD_SEGMENT = 303
    BAD_FRAME = 304
    BAD_SCAN = 305
    BAD_HUFFMAN_TABLE = 306
    MISSING_TABLE = 307
    BAD_CODE = 308
    COEFFICIENT_OVERRUN = 309
    BAD_RESTART = 310
    EXTRANEOUS_DATA = 311
    ARITHMETIC = 312
    LOSSLESS = 313
    HIERARCHICAL = 314
    PROGRESSIVE = 315
    LIMIT_DIMENSIONS = 316
    LIMIT_BLOCKS = 317
    LIMIT_SEGMENT = 318
    LIMIT_SCANS = 319
    ALREADY_MARKED = 320
    ODD_PADDING = 321
    DNL_TOO_FAR = 322
    STRAY_MARKER = 323
    NO_SCAN = 324
    NO_ESCAPE_CODE = 326
    NOTHING_HIDDEN = 327
    BAD_HIDDEN_DATA = 328
    INPUT_UNREADABLE = 329
    PRIVATE_CHANGED = 330
    BAD_INTAKE = 331
    NOT_A_SHARE = 332
    SHARE_VERSION = 333
    SHARES_OF_DIFFERENT_SETS = 334
    SHARE_TWICE = 335
    TOO_FEW_SHARES = 336
    SHARES_MIXED = 337
    BAD_RASTER = 338
    PARAMETERS_MISSING = 339
    SHARE_SIZE = 340
    BAD_PARAMETERS = 341
    SEVERAL_SCANS = 342
    DEEP_SAMPLES = 343
    NO_QUANTISATION_TABLE = 344
    NOT_TAKEN = 345
    NO_LUMINANCE = 346

    DOES_NOT_FIT = 400
    NO_CARRIERS = 401
    NO_CARRIERS_AT_END = 402
    SPOOL_FULL = 403
    NO_WATERMARK_ROOM = 404

    WRONG_KEY = 500
    SEAL_BROKEN = 501
    DIGEST_MISMATCH = 502
    SIGNATURE_BROKEN = 503
    PRIVATE_DATA_INCOMPLETE = 504
    COMMAND_REFUSED = 505
    SHARE_ALTERED = 506
    FRAME_DAMAGED = 507
    NOT_AS_SENT = 508
    NOT_RECOVERED = 509

    OUTPUT_UNWRITABLE = 600
    DISK_FULL = 601
    KERNEL_MISSING = 602
    OUT_OF_MEMORY = 603
    NODE_SILENT = 604
    WORKER_LOST = 605
    SELFTEST_FAILED = 606
    DAEMON_SILENT = 607
    PILLOW_MISSING = 608
    PROGRAM_FAILED = 609
    NUMPY_MISSING = 610

    @property
    def exit_code(self) -> ExitCode:
        """The exit status a command ends with for this reason."""
        return ExitCode(self // 100)


_HINTS: dict[Reason, str] = {
    Reason.USAGE: "see --help for the exact form of the command",
    Reason.KEY_UNREADABLE:
        "check the path; keygen DIR makes a key pair, occulta-ground provision a mission's keys",
    Reason.KEY_PERMISSIONS: "run: chmod 600 on the key file, and ask who has read it",
    Reason.KEY_MALFORMED: "the file must be one written by keygen, unchanged",
    Reason.OUTPUT_EXISTS: "move the old one away or name another output",
    Reason.KEY_KIND: "occulta-ground keygen makes recipient keys, occulta-onboard satellite keys",
    Reason.CONFIG_INVALID: "correct each place named; configs/ holds examples with every option",
    Reason.LINK_STATE:
        "--initialise is for the first start, or for new link keys at both ends: docs/security.md",
    Reason.EMPTY_INPUT: "the input holds no bytes: check the transfer",
    Reason.NOT_JPEG: "the input must start with the JPEG marker FF D8",
    Reason.TRUNCATED: "the file ends early: fetch it again",
    Reason.BAD_SEGMENT: "the file is damaged in its headers: fetch it again",
    Reason.BAD_FRAME: "the frame header (SOF) is damaged or not one of ITU-T T.81",
    Reason.BAD_SCAN: "the scan header (SOS) is damaged or not one of ITU-T T.81",
    Reason.BAD_HUFFMAN_TABLE: "a Huffman table (DHT) is damaged",
    Reason.MISSING_TABLE: "a scan names a Huffman table that the file does not define",
    Reason.BAD_CODE: "the entropy-coded data is damaged: fetch the file again",
    Reason.COEFFICIENT_OVERRUN: "the entropy-coded data is damaged: fetch the file again",
    Reason.BAD_RESTART: "a restart marker is missing or out of order: the file is damaged",
    Reason.EXTRANEOUS_DATA: "bytes stand where none belong: the file is damaged",
    Reason.ARITHMETIC: "arithmetic-coded JPEG is not supported: convert with jpegtran",
    Reason.LOSSLESS: "lossless JPEG (SOF3) has no DCT blocks to work on",
    Reason.HIERARCHICAL: "hierarchical JPEG is not supported",
    Reason.PROGRESSIVE: "use --profile exact, or convert with jpegtran",
    Reason.LIMIT_DIMENSIONS: "raise Limits.max_dimension if the picture is real",
    Reason.LIMIT_BLOCKS: "raise Limits.max_blocks if the picture is real",
    Reason.LIMIT_SEGMENT: "raise the segment limits if the file is real",
    Reason.LIMIT_SCANS: "raise Limits.max_scans if the file is real",
    Reason.ALREADY_MARKED: "the file already carries hidden data: protect the original instead",
    Reason.ODD_PADDING: "too many segments end in irregular padding bits: re-encode the picture",
    Reason.DNL_TOO_FAR: "the height (DNL) comes later than the look-ahead: re-encode the picture",
    Reason.STRAY_MARKER: "a marker stands where none belongs: the file is damaged",
    Reason.NO_SCAN: "the file holds no picture data",
    Reason.NO_ESCAPE_CODE: "the file's own table lacks a code that `paper` needs; use exact",
    Reason.NOTHING_HIDDEN: "the file was not marked, or its hidden data was stripped on the way",
    Reason.BAD_HIDDEN_DATA: "the marked file was altered on the way: fetch it again",
    Reason.INPUT_UNREADABLE: "check the path and its permissions",
    Reason.BAD_INTAKE: "what a camera or payload program sent does not agree with itself",
    Reason.NOT_A_SHARE:
        "give share-*.occ or received.occ files whole, as they came, or the folders that hold them",
    Reason.SHARE_VERSION:
        "fetch it again; if it stays so, a later release of Occulta made it: recover it with that",
    Reason.SHARES_OF_DIFFERENT_SETS: "give shares of one frame: their set ids are in the message",
    Reason.SHARE_TWICE: "name each share once: the file as its holder sent it",
    Reason.TOO_FEW_SHARES: "fetch the shares of other holders too",
    Reason.SHARES_MIXED: "give shares that were made in one run of protect",
    Reason.BAD_REGION: "a region is x,y,width,height in pixels, within the image, over no other",
    Reason.BAD_RASTER: "the image must be 8-bit grayscale, PGM (P5), PNG or TIFF, and whole",
    Reason.PARAMETERS_MISSING: "give parameters.occ, as protect wrote it beside the shares",
    Reason.SHARE_SIZE: "give the share images as protect wrote them, not scaled or cropped",
    Reason.BAD_PARAMETERS: "ask the sender for parameters made by this release of Occulta",
    Reason.SEVERAL_SCANS: "the picture must lie in one interleaved scan: convert with jpegtran",
    Reason.DEEP_SAMPLES: "samples must have 8 bits: convert the picture",
    Reason.NO_QUANTISATION_TABLE: "a component names a quantisation table that the file lacks",
    Reason.NO_LUMINANCE: "robust hiding takes gray and YCbCr pictures: convert the picture",
    Reason.NOT_RECOVERED:
        "give the recipient's key and the picture as little changed as there is; turn a turned or "
        "mirrored one back, name a scaled one's size with --size",
    Reason.NO_WATERMARK_ROOM: "take a larger image or a smaller region",
    Reason.PILLOW_MISSING: "use PGM files, or install the extra: pip install 'occulta[raster]'",
    Reason.NUMPY_MISSING: "install the extra: pip install 'occulta[raster]'",
    Reason.PRIVATE_CHANGED: "let no other program write the private file meanwhile",
    Reason.DOES_NOT_FIT: "choose a smaller private file or a larger picture; see capacity",
    Reason.NO_CARRIERS: "the picture has too little detail; see capacity",
    Reason.NO_CARRIERS_AT_END: "the end of the file is not picture data; strip what follows it",
    Reason.SPOOL_FULL: "wait for a contact, purge what is waiting, or raise the spool's limits",
    Reason.WRONG_KEY: "it was sealed to another recipient: give that recipient's key",
    Reason.SEAL_BROKEN:
        "the marked or sealed file (parameters.occ too) was altered on the way: fetch it again",
    Reason.DIGEST_MISMATCH: "the file was altered on the way: fetch it again",
    Reason.SIGNATURE_BROKEN:
        "give the key of the satellite that made it; if you did, trust nothing of what came",
    Reason.PRIVATE_DATA_INCOMPLETE:
        "the marked or sealed file was cut or altered on the way: fetch it again",
    Reason.COMMAND_REFUSED: "the satellite says why; the link key in use must be a commander's",
    Reason.SHARE_ALTERED: "fetch that share again, or give that of another holder",
    Reason.FRAME_DAMAGED: "see report.json; fetch the altered shares again",
    Reason.NOT_TAKEN: "the lines above say what was refused, and why",
    Reason.NOT_AS_SENT: "the table and the report say what, and why",
    Reason.PROGRAM_FAILED: "the lines above say which, and the report's logs what it said",
    Reason.OUTPUT_UNWRITABLE:
        "check the folder and its permissions; of an address, that no other program listens there",
    Reason.DISK_FULL: "free some space and run the command again",
    Reason.KERNEL_MISSING: "run: python3 dev.py setup (needs a C compiler)",
    Reason.NODE_SILENT: "start it: occulta-ground run --config ground.yaml",
    Reason.DAEMON_SILENT: "it does not run, or hangs: its log says more; restart it",
    Reason.SELFTEST_FAILED: "this machine or build computes otherwise: occulta-onboard selftest",
    Reason.OUT_OF_MEMORY: "the machine has too little memory for this command",
    Reason.WORKER_LOST: "see the node's log; the next start of the node tries again",
}


class OccultaError(Exception):
    """A numbered refusal: one line that says what is wrong, one line of hint."""

    def __init__(self, reason: Reason, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.hint = hint or _HINTS[reason]

    def __reduce__(self) -> tuple[type[OccultaError], tuple[Reason, str, str]]:
        """Pickled whole, for what crosses from one process to another."""
        return type(self), (self.reason, self.detail, self.hint)

    def as_dict(self) -> dict[str, object]:
        """For reports in JSON."""
        return {"number": int(self.reason), "detail": self.detail, "hint": self.hint}

    def __str__(self) -> str:
        return f"error {self.reason.value}: {self.detail}"
