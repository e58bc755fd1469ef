"""Parts of a program's loop that go on when a disk does not."""

import pytest

from occulta.errors import OccultaError, Reason
from occulta.program.guard import RETRY, SILENCE, Guard


class Part:
    """Fails as long as its disk is full."""

    def __init__(self):
        self.reason = Reason.DISK_FULL
        self.tries = 0

    def __call__(self):
        self.tries += 1
        if self.reason is not None:
            raise OccultaError(self.reason, "no room")
        return "done"


@pytest.fixture
def part():
    return Part()


@pytest.fixture
def told():
    return []


@pytest.fixture
def guard(told):
    return Guard(told.append)


def test_a_part_that_failed_is_tried_again_after_a_pause(guard, part):
    for now in (10.0, 10.0 + RETRY / 2):
        assert guard.attempt("it", part, now) is None
    assert part.tries == 1
    part.reason = None
    assert guard.attempt("it", part, 10.0 + RETRY) == "done"
    assert guard.attempt("it", part, 10.0 + RETRY) == "done"


def test_a_part_without_a_pause_is_tried_at_once(guard, part):
    for _ in range(2):
        assert guard.attempt("it", part, 10.0, pause=0.0) is None
    assert part.tries == 2


def test_parts_do_not_wait_for_each_other(guard, part):
    assert guard.attempt("it", part, 10.0) is None
    assert guard.attempt("other", lambda: "well", 10.0) == "well"


@pytest.mark.parametrize("reason", [Reason.DISK_FULL, Reason.OUTPUT_UNWRITABLE])
def test_the_same_part_is_complained_of_now_and_then(guard, part, told, reason):
    part.reason = reason
    for now in range(int(2 * SILENCE)):
        guard.attempt("it", part, float(now))
    assert told == [f"it: error {reason.value}: no room"] * 2


def test_what_is_no_fault_of_a_disk_is_raised(guard, part, told):
    part.reason = Reason.LINK_STATE
    with pytest.raises(OccultaError) as raised:
        guard.attempt("it", part, 0.0)
    assert raised.value.reason is Reason.LINK_STATE and told == []
