"""Recovery in another process: jobs and outcomes, and a process that dies, hangs or talks."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from ground.outcome import Outcome
from ground.product import Job, State
from ground.worker import MAX_LINE, Worker
from occulta.errors import Reason
from tests.cli import FOREIGN, SECRET, environment
from tests.ground_world import World, marked, name_of, product_id, tree
from tests.support import KEY, OTHER_KEY

JOB = Job(product="00" * 16, key=None, revoked=False, received_at=0.0)
GOOD = msgspec.json.encode(
    Outcome(JOB.product, State.RECOVERED, False, False, "intact")
).decode()
Make = Callable[..., Worker]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def make(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Workers of the world's archive; a script takes the place of the real child."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    made: list[Worker] = []

    def make_one(script: str | None = None, **options: object) -> Worker:
        if script is not None:
            options["command"] = (sys.executable, "-Sc", f"import os, sys, time\n{script}")
        keys = world.key_files(OTHER_KEY, KEY)
        made.append(Worker(world.folder, keys, **{"timeout": 60.0, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make_one
    for worker in made:
        worker.close()


def wait(worker: Worker, now: float = 0.0) -> list[Outcome]:
    """Poll as the loop does, whenever there is something to do."""
    outcomes: list[Outcome] = []
    while not outcomes:
        assert select.select([worker], [], [], 60)[0], "the child says nothing"
        outcomes = worker.poll(now)
    return outcomes


def do(world: World, worker: Worker, number: int) -> Outcome:
    worker.submit(world.archive.begin_recovery(product_id(number)), 0.0)
    (outcome,) = wait(worker)
    world.archive.end_recovery(outcome)
    return outcome


def error_of(outcome: Outcome) -> tuple[int, str]:
    assert outcome.state is State.FAILED
    assert outcome.error is not None
    return outcome.error.number, outcome.error.detail


# --- the real child


def test_products_are_recovered_one_after_the_other(world: World, make: Make) -> None:
    for number, data in ((1, marked(SECRET)), (2, b"no picture")):
        world.deliver(number, data)
    world.deliver(3, marked(SECRET, FOREIGN), signer=FOREIGN)
    worker = make()
    assert (worker.is_busy, worker.next_timer(), worker.poll(0.0)) == (False, None, [])
    assert do(world, worker, 1).verdict == "intact, authentic"
    assert (world.place(1) / "private.bin").read_bytes() == SECRET
    assert error_of(do(world, worker, 2))[0] == Reason.NOT_JPEG
    assert do(world, worker, 3).verdict == "intact, signature not checked"
    assert world.states() == {"recovered": 2, "failed": 1}
    assert worker.counters == {"recovered": 2, "failed": 1, "no_key": 0, "share": 0, "lost": 0}


def test_the_parent_is_told_by_its_descriptor_and_its_timer(world: World, make: Make) -> None:
    world.deliver(1, marked(SECRET))
    worker = make(timeout=7.0)
    descriptor = worker.fileno()
    worker.submit(world.archive.begin_recovery(product_id(1)), 100.0)
    assert (worker.is_busy, worker.next_timer()) == (True, 107.0)
    with pytest.raises(ValueError, match="busy"):
        worker.submit(JOB, 100.0)
    assert wait(worker, 106.9)[0].state is State.RECOVERED
    assert (worker.is_busy, worker.next_timer()) == (False, None)
    assert worker.fileno() == descriptor


def test_a_child_killed_at_work_is_replaced_and_the_product_recovered(
    world: World, make: Make
) -> None:
    world.deliver(1, marked(SECRET))
    worker = make()
    worker.submit(world.archive.begin_recovery(product_id(1)), 0.0)
    assert worker._child is not None
    os.kill(worker._child.pid, signal.SIGKILL)
    (outcome,) = wait(worker)
    assert outcome.state is State.RECOVERED
    assert worker.counters["lost"] == 1
    assert sorted(tree(world.place(1))) == [
        "carrier.jpg", "manifest", "private.bin", "received.jpg", "report.json",
    ]


def test_a_product_that_kills_its_child_twice_fails_alone_and_is_kept(
    world: World, make: Make
) -> None:
    for number in (1, 2):
        world.deliver(number, marked(SECRET))
    before = tree(world.place(1))
    worker = make()
    worker.submit(world.archive.begin_recovery(product_id(1)), 0.0)
    children = []
    while not (outcomes := worker.poll(0.0)):
        child = worker._child
        assert child is not None
        if child not in children:
            children.append(child)
            os.kill(child.pid, signal.SIGKILL)
        assert select.select([worker], [], [], 60)[0]
    product = world.archive.end_recovery(outcomes[0])
    assert len(children) == 2
    assert (product.state, product.error) == (State.FAILED, Reason.WORKER_LOST)
    assert product.detail == "the recovery worker was killed by signal 9"
    assert product.hint is not None and "want of memory" in product.hint
    assert before.items() <= tree(world.place(1)).items()
    assert do(world, worker, 2).state is State.RECOVERED
    world.open()
    assert do(world, worker, 1).state is State.RECOVERED, "the next start tries again"
    assert worker.counters == {"recovered": 2, "failed": 1, "no_key": 0, "share": 0, "lost": 2}


def test_a_child_that_dies_between_jobs_is_replaced(world: World, make: Make) -> None:
    for number in (1, 2):
        world.deliver(number, b"no picture")
    worker = make()
    do(world, worker, 1)
    assert worker._child is not None
    os.kill(worker._child.pid, signal.SIGKILL)
    assert select.select([worker], [], [], 60)[0]
    assert worker.poll(0.0) == []
    assert not select.select([worker], [], [], 0)[0]
    assert error_of(do(world, worker, 2))[0] == Reason.NOT_JPEG
    assert worker.counters["lost"] == 1


def child_of(world: World, parent: int) -> list[str]:
    return [
        sys.executable, "-m", "ground.worker", "--parent", str(parent),
        "--archive", str(world.folder),
    ]


def test_the_child_ends_with_its_parent(world: World) -> None:
    done = subprocess.run(
        child_of(world, os.getpid()), input=b"", capture_output=True, env=environment(),
        timeout=60, check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_child_says_nothing_but_outcomes(world: World, make: Make) -> None:
    world.deliver(1, b"no picture")
    job = world.archive.begin_recovery(product_id(1))
    done = subprocess.run(
        child_of(world, os.getpid()), input=2 * (msgspec.json.encode(job) + b"\n"),
        capture_output=True, env=environment(), timeout=60, check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said = [msgspec.json.decode(each, type=Outcome) for each in done.stdout.splitlines()]
    assert [(each.product, each.state) for each in said] == 2 * [(name_of(1), State.NO_KEY)]


PARENT = """
import sys
from pathlib import Path
import msgspec
from ground.product import Job
from ground.worker import Worker
worker = Worker(Path(sys.argv[1]), [Path(sys.argv[2])], timeout=600)
worker.submit(msgspec.json.decode(sys.argv[3], type=Job), 0.0)
print(worker._child.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_at_work_ends_with_a_parent_that_is_killed(world: World, tmp_path: Path) -> None:
    world.deliver(1, marked(SECRET))
    job = msgspec.json.encode(world.archive.begin_recovery(product_id(1)))
    key = tmp_path / "recipient.key"
    os.mkfifo(key, 0o600)  # which the child never comes to the end of
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(world.folder), str(key), job],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(),
    ) as parent:
        assert parent.stdout is not None
        handle = os.pidfd_open(int(parent.stdout.readline()))
        writer = os.open(key, os.O_WRONLY)  # waits for the child
        parent.kill()
    ended, _, _ = select.select([handle], [], [], 30)
    os.close(writer)
    os.close(handle)
    assert ended


def test_a_child_whose_parent_is_gone_does_nothing(world: World) -> None:
    world.deliver(1, b"no picture")
    job = world.archive.begin_recovery(product_id(1))
    done = subprocess.run(
        child_of(world, os.getppid()), input=msgspec.json.encode(job) + b"\n",
        capture_output=True, env=environment(), timeout=60, check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- children that are not what they should be

TWICE_LOST = {"recovered": 0, "failed": 1, "no_key": 0, "share": 0, "lost": 2}


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("sys.exit(1)", "ended with status 1"),
        ("sys.stdin.readline(); os._exit(0)", "ended with status 0"),
        ("sys.stdin.readline(); os.kill(os.getpid(), 11)", "was killed by signal 11"),
        ("sys.stdin.readline(); os.close(1); time.sleep(60)", "closed its output"),
        ("sys.stdin.readline(); print('garbage', flush=True); time.sleep(60)", "said what"),
        ("sys.stdin.readline(); print('{}', flush=True); time.sleep(60)", "said what"),
        (f"sys.stdin.readline(); print('x' * {2 * MAX_LINE}, end='', flush=True); time.sleep(60)",
         "said what"),
        (f"print('''{GOOD.replace('00000000', '11111111')}''', flush=True); time.sleep(60)",
         "said what"),
        (f"print('''{GOOD.replace('recovered', 'archived')}''', flush=True); time.sleep(60)",
         "said what"),
        (f"print('''{GOOD}''' * 2, flush=True); time.sleep(60)", "said what"),
        (f"print('''{GOOD}\n{GOOD}''', flush=True); time.sleep(60)", "said what"),
    ],
)
def test_a_job_that_is_lost_twice_has_failed(make: Make, script: str, what: str) -> None:
    worker = make(script)
    worker.submit(JOB, 0.0)
    (outcome,) = wait(worker)
    number, detail = error_of(outcome)
    assert number == Reason.WORKER_LOST
    assert detail.startswith(f"the recovery worker {what}")
    assert outcome.product == JOB.product
    assert worker.counters == TWICE_LOST
    assert not worker.is_busy


def test_a_job_is_tried_once_more(make: Make, tmp_path: Path) -> None:
    script = (
        f"sys.stdin.readline()\nif not os.path.exists('{tmp_path}/seen'):\n"
        f" open('{tmp_path}/seen', 'w'); os._exit(1)\nprint('''{GOOD}''', flush=True)\n"
        "time.sleep(60)"
    )
    worker = make(script)
    worker.submit(JOB, 0.0)
    (outcome,) = wait(worker)
    assert outcome.state is State.RECOVERED
    assert worker.counters["lost"] == 1


def test_a_child_that_hangs_is_killed_and_nobody_waits(make: Make) -> None:
    worker = make("time.sleep(600)", timeout=10.0)
    began = time.monotonic()
    worker.submit(JOB, 0.0)
    assert worker.poll(9.9) == []
    first = worker._child
    assert worker.poll(10.0) == []
    assert worker._child is not first
    assert worker.next_timer() == 20.0
    assert worker.poll(19.9) == []
    (outcome,) = worker.poll(20.0)
    assert error_of(outcome)[1] == "the recovery worker did not end within 10 s"
    assert worker.counters == TWICE_LOST
    assert time.monotonic() - began < 30
    assert first is not None
    assert first.wait(30) == -signal.SIGKILL


def test_a_child_that_says_it_slowly(make: Make) -> None:
    script = f"for c in '''{GOOD}\\n''': sys.stdout.write(c); sys.stdout.flush()\ntime.sleep(60)"
    worker = make(script)
    worker.submit(JOB, 0.0)
    assert wait(worker)[0].state is State.RECOVERED
    assert worker.counters["lost"] == 0


def test_a_command_that_is_not_there(make: Make) -> None:
    worker = make(command=("/nonexistent/python",))
    worker.submit(JOB, 0.0)
    (outcome,) = worker.poll(0.0)
    assert error_of(outcome)[1].startswith("the recovery worker cannot be used: ")
    assert worker.counters == TWICE_LOST


def test_closing_leaves_no_child(make: Make) -> None:
    worker = make("time.sleep(600)")
    worker.submit(JOB, 0.0)
    child = worker._child
    assert child is not None
    worker.close()
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_a_job_needs_time(world: World, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Worker(world.folder, [], timeout=timeout)
