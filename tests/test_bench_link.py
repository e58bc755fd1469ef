"""The link's benchmark: both sides do the same work, and what is measured arrives."""

from collections.abc import Callable
from random import Random

import pytest

from bench import docs, link
from bench.cfdp_py import theirs
from bench.link import Case
from bench.protected import Down, protected
from bench.report import Result, Table
from bench.transfer import MemoryFile, Pair, loses, never, ours
from bench.transfer_memory import Compared, Generated, content, traced_peak, transfer
from occulta.link.cfdp import Outgoing

DATA = Random(4).randbytes(40_001)
SEGMENT = 1024


def counted(lost: Callable[[], bool]) -> tuple[Callable[[], bool], list[bool]]:
    """A loss that keeps what it said, one for each File Data PDU."""
    said: list[bool] = []

    def asked() -> bool:
        said.append(lost())
        return said[-1]

    return asked, said


@pytest.mark.parametrize("data", [DATA, b"", b"x"])
def test_both_deliver_with_loss(data: bytes) -> None:
    assert ours(data, SEGMENT, loses(0.2)) >= 0
    assert theirs(data, SEGMENT, loses(0.2), True) >= 0
    assert theirs(data, SEGMENT, loses(0.2), False) >= 0


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_both_send_the_same_file_data(loss: float) -> None:
    """The same segments, the same ones lost at first; then what was lost again."""
    mine, own = counted(loses(loss))
    their, peer = counted(loses(loss))
    ours(DATA, SEGMENT, mine)
    theirs(DATA, SEGMENT, their, False)
    assert len(own) - sum(own) == len(peer) - sum(peer) == -(-len(DATA) // SEGMENT)
    assert (sum(own) > 0) == (sum(peer) > 0) == (loss > 0)


def test_a_pair_that_cannot_deliver_is_noticed() -> None:
    pair = Pair(MemoryFile(DATA), MemoryFile(), SEGMENT)
    pair.run(lambda: True)
    with pytest.raises(AssertionError, match="not delivered"):
        pair.check()


def test_losses_are_the_same_in_every_run() -> None:
    first, again = ([lost() for _ in range(1000)] for lost in (loses(0.05), loses(0.05)))
    assert first == again
    assert 20 < sum(first) < 80
    assert not never()


def test_generated_data_say_where_they_belong() -> None:
    source, sink = Generated(3_000_000), Compared(3_000_000)
    assert source.read(2_999_990, 100) == content(2_999_990, 10)
    sink.write(2_999_000, source.read(2_999_000, 500))
    assert sink.written == 500
    with pytest.raises(AssertionError, match="other data at 1000003"):
        sink.write(1_000_003, content(1_000_004, 500))
    sink.commit("file", 3_000_000)
    assert not sink.complete


def test_every_octet_is_written_once() -> None:
    transfer(1_500_000, SEGMENT, 0.1)
    assert 0.05 < traced_peak(300_000, SEGMENT, 0.1) < 8


def test_protected_packets_have_the_size_and_carry_the_file() -> None:
    sides = protected(DATA, 1024)
    packets = -(-len(DATA) // (1024 - 36 - 16)) + 3
    assert sides.packets == packets
    assert sides.sending > 0
    assert sides.receiving > 0
    down = Down()
    packet, = down.wrap([Outgoing(2, bytes(1024 - 36))])
    assert len(packet) == 1024
    assert down.unwrap(packet) == bytes(1024 - 36)


def test_a_rate_is_by_the_median() -> None:
    case = Case("a", 8_000_000, 1024, 0.05, [9.0, 2.0, 1.0])
    assert case.rate == 4.0
    assert case.row() == ["a", "8", "1024", "5", "2.00", "4.0"]


def test_the_page_is_written_from_the_result_alone(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    result = Result("link", tables=[Table("t", ["a", "b"], [["1", "2"]])], notes=["a note"])
    assert docs.write({"link": result}, ["link"]) == [tmp_path / "link.md"]
    text = (tmp_path / "link.md").read_text()
    assert "| 1 | 2 |" in text
    assert "- a note" in text


def test_without_cfdp_py_its_half_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise link.PackageNotFoundError(name)

    monkeypatch.setattr(link, "version", absent)
    result = Result("link")
    assert link._peer(result) is None
    assert result.skipped == ["cfdp-py is not installed: python3 dev.py setup"]
