"""Saving the state of a link: on a full disk too, and nothing of an old state stays."""

from __future__ import annotations

import errno
import os

import pytest

from occulta.errors import OccultaError, Reason
from occulta.program.linkstate import LinkState
from tests.small_disk import small_disk


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as found:
        yield found


def test_a_full_disk_takes_state_after_state(disk):
    state = LinkState(disk.folder / "links", "ground")
    state.save("receiver", b"first")
    disk.fill()
    for number in range(100):
        latest = b"%d" % number * (1 + 7 * number)
        state.save("receiver", latest)
        assert (disk.folder / "links" / "ground.receiver").read_bytes() == latest


def test_a_first_state_needs_room(disk):
    state = LinkState(disk.folder / "links", "ground")
    disk.fill()
    with pytest.raises(OccultaError) as caught:
        state.save("receiver", b"first")
    assert caught.value.reason is Reason.DISK_FULL


def test_nothing_of_an_old_state_stays(tmp_path):
    state = LinkState(tmp_path, "ground")
    state.save("sender", b"an old key" * 50)
    state.save("sender", b"a new key")
    assert not any(b"old" in path.read_bytes() for path in tmp_path.iterdir())
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
def test_a_save_that_fails_leaves_the_last_state(tmp_path, monkeypatch, name):
    state = LinkState(tmp_path, "ground")
    state.save("sender", b"good")

    def fail(*_):
        raise OSError(errno.EIO, "a disk that fails")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(OccultaError) as caught:
            state.save("sender", b"better")
    assert caught.value.reason is Reason.OUTPUT_UNWRITABLE
    assert (tmp_path / "ground.sender").read_bytes() == b"good"
    state.save("sender", b"best")
    assert (tmp_path / "ground.sender").read_bytes() == b"best"
