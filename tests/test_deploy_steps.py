"""The steps that build and prove the ARM64 image, as far as they can be run without an image.

The image itself is built and proved by `python3 dev.py arm64`, which takes minutes.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.arm64 import __main__ as command
from deploy.arm64 import base, machine, mission, steps
from deploy.arm64.engine import BASE, BOX, DOCKER, IMAGE, REGISTRY_BASE, podman
from deploy.arm64.log import KILLED, TIMED_OUT, Failed, Log
from tests.cli import ROOT

PODMAN = podman(with_certificates=False)
ENTRY = """enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: {flags}
offset 0
magic {magic}
mask ffffffffffffff00fffffffffffffffffeffffff
"""
ARM64 = "7f454c460201010000000000000000000200b700"
ARM32 = "7f454c4601010100000000000000000002002800"


@pytest.fixture
def log(tmp_path):
    with Log(tmp_path / "step.log", limit=30.0) as made:
        yield made


class Answers:
    """Foreign commands: what is asked is noted, and answered by the first words that fit."""

    def __init__(self, monkeypatch, statuses):
        self.asked = []
        self._statuses = statuses
        monkeypatch.setattr(Log, "status", self.status)

    def status(self, words, within=None):
        line = " ".join(words)
        self.asked.append((line, within))
        return next((status for part, status in self._statuses.items() if part in line), 0)

    @property
    def lines(self):
        return [line for line, _ in self.asked]


# --- commands


def test_requirements_are_the_pins_of_the_project():
    script = str(ROOT / "deploy" / "arm64" / "requirements.py")
    done = subprocess.run([sys.executable, "-I", script, "flight", "build", "test"],
                          capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = done.stdout.split()
    assert set(project["project"]["dependencies"]) <= set(found)
    assert set(project["build-system"]["requires"]) <= set(found)
    assert all("==" in pin for pin in found) and len(found) == len(set(found))
    assert not any(pin.startswith("numpy") for pin in project["project"]["dependencies"])


@pytest.mark.parametrize("engine", [DOCKER, PODMAN], ids=lambda e: e.name)
def test_a_container_is_confined(engine, tmp_path):
    words = engine.run(IMAGE, ["run"], memory_mib=160, volumes=[tmp_path])
    line = " ".join(words)
    for part in ("--read-only", "--cap-drop all", "no-new-privileges", "--memory 160m",
                 "--memory-swap 160m", "--pull=never", f"-v {tmp_path}:{tmp_path}",
                 "--tmpfs /tmp:size=16m", f"--name {BOX}"):
        assert part in line
    assert words[-2:] == [IMAGE, "run"]
    assert engine.remove() == [engine.tool, "rm", "-f", BOX]


@pytest.mark.parametrize("engine", [DOCKER, PODMAN], ids=lambda e: e.name)
def test_the_build_begins_with_the_base_made_here(engine):
    words = engine.build("flight", IMAGE, {"VERSION": "1"})
    assert f"BASE={BASE}" in words and BASE.startswith("localhost/") and "VERSION=1" in words
    assert "--no-cache" not in words
    assert "--no-cache" in engine.build("flight", IMAGE, {}, is_fresh=True)
    assert ("--pull-never" in words) is (engine is PODMAN)


# --- logs and their time


def test_a_command_is_logged(log):
    assert log.output(["sh", "-c", "echo said; echo also >&2"]) == "said"
    assert log.status(["sh", "-c", "exit 3"]) == 3
    text = log.text()
    assert "also\n" in text and "said\n" in text and "-- status 3" in text


@pytest.mark.parametrize("use", [Log.must, Log.output])
def test_what_must_work(use, log):
    with pytest.raises(Failed, match=r"^false ended with status 1: see .*step\.log$"):
        use(log, ["false"])
    with pytest.raises(Failed, match="^cannot run no-such-command: No such file"):
        use(log, ["no-such-command"])
    with pytest.raises(Failed, match=f"^sh ended with status {KILLED}, killed by its memory cap"):
        use(log, ["sh", "-c", "kill -9 $$"])


def test_a_hang_ends_with_the_step(tmp_path):
    file = tmp_path / "children"
    script = f"sleep 60 & echo $$ $! > {file}; echo so far; wait"
    with Log(tmp_path / "log", limit=2.0) as log:
        with pytest.raises(Failed, match=r"^sh was not done when the 2 s of the step were over"):
            log.output(["sh", "-c", script])
        assert "so far" in log.text()
        log.tidy(["sh", "-c", "echo tidied"])
        log.tidy(["no-such-command"])
        assert "tidied" in log.text()
    for number in file.read_text().split():
        assert has_ended(int(number))


def has_ended(number):
    """Whether a process ends within seconds."""
    try:
        handle = os.pidfd_open(number)
    except ProcessLookupError:
        return True
    with open(handle, closefd=True) as file:
        return bool(select.select([file], [], [], 10)[0])


def test_a_command_may_have_less_time_than_its_step(log):
    assert log.status(["sleep", "60"], within=0.1) == TIMED_OUT
    assert f"-- status {TIMED_OUT}" in log.text()


# --- the machine


@pytest.fixture
def formats(tmp_path):
    """The kernel's folder of binary formats."""
    (tmp_path / "register").write_text("")
    (tmp_path / "status").write_text("enabled\n")
    return tmp_path


@pytest.mark.parametrize(("entry", "expected"), [
    (ENTRY.format(flags="POF", magic=ARM64), True),
    (ENTRY.format(flags="F", magic=ARM64), True),
    (ENTRY.format(flags="PO", magic=ARM64), False),
    (ENTRY.format(flags="", magic=ARM64), False),
    (ENTRY.format(flags="POF", magic=ARM32), False),
    (ENTRY.format(flags="POF", magic=ARM64).replace("enabled", "disabled"), False),
    ("enabled\nflags: F\noffset 18\nmagic b700\n", True),
    ("enabled\nflags: F\noffset 19\nmagic b700\n", False),
    ("enabled\ninterpreter /usr/bin/x\nflags: F\nextension .arm64\n", False),
    ("", False),
])
def test_an_emulator_that_containers_can_use(entry, expected, formats):
    (formats / "qemu-aarch64").write_text(entry)
    assert machine.is_registered(formats) is expected


def test_an_emulator_by_any_name_but_not_while_all_are_off(formats, tmp_path):
    assert not machine.is_registered(formats)
    (formats / "another").write_text(ENTRY.format(flags="F", magic=ARM64))
    assert machine.is_registered(formats)
    (formats / "status").write_text("disabled\n")
    assert not machine.is_registered(formats)
    assert not machine.is_registered(tmp_path / "none")


def test_native_machines_need_no_emulator(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    assert "qemu-user-static" not in list(machine.missing())
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    assert {"qemu-user-static", "runc"} <= set(machine.missing())


def without(monkeypatch, *absent):
    """A machine with an emulator and all tools but these, where nothing can be installed."""
    monkeypatch.setattr(machine, "docker_works", lambda: False)
    monkeypatch.setattr(machine, "is_registered", lambda: True)
    monkeypatch.setattr(machine, "KEYRING", ROOT)
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        machine.shutil, "which", lambda name: None if name in absent else f"/usr/bin/{name}")


@pytest.mark.parametrize(("statuses", "why"), [
    ({"apt-get": 100}, "apt-get update failed: see"),
    ({"update": 0, "install": TIMED_OUT}, "apt-get install failed: see"),
    ({}, "not installed: runc"),
])
def test_no_way_to_runc_skips_the_smoke_test(statuses, why, monkeypatch, capsys, tmp_path):
    without(monkeypatch, "runc")
    Answers(monkeypatch, statuses)
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    assert command.main(["smoke"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("arm64: SKIPPED: ") and why in said and said.count("\n") == 1
    assert command.main(["image"]) == 1


def test_only_what_is_missing_is_installed(monkeypatch, log):
    without(monkeypatch, "runc", "gpgv")
    answers = Answers(monkeypatch, {})
    machine.install(log)
    assert [line.rpartition("recommends ")[2] for line in answers.lines] == [
        "update", "install gpgv runc"]


# --- the base


def test_a_registry_that_answers(monkeypatch, log):
    answers = Answers(monkeypatch, {})
    assert base.make(log, DOCKER) == f"from {REGISTRY_BASE}"
    assert answers.asked[0] == (
        f"docker pull --quiet --platform linux/arm64 {REGISTRY_BASE}", base.PULL_LIMIT)
    assert answers.lines[1:] == [f"docker tag {REGISTRY_BASE} {BASE}"]


@pytest.mark.parametrize("status", [1, TIMED_OUT])
def test_no_registry_and_no_means_to_do_without(status, monkeypatch, log):
    Answers(monkeypatch, {"pull": status})
    monkeypatch.setattr(base.os, "geteuid", lambda: 1000)
    with pytest.raises(machine.Unable, match="without a registry it takes root, debootstrap"):
        base.make(log, DOCKER)


def bootstrapped(monkeypatch, log, engine, statuses):
    """The commands of a base made here, of a root with what debootstrap takes from the machine."""
    answers = Answers(monkeypatch, statuses)
    answer = answers.status

    def status(self, words, within=None):
        if words[0] == "debootstrap":
            Path(words[-1], "etc/apt").mkdir(parents=True)
        return answer(words, within)

    monkeypatch.setattr(Log, "status", status)
    monkeypatch.setattr(Log, "output", lambda self, words: "container-1")
    monkeypatch.setattr(base, "KEYRING", ROOT)
    monkeypatch.setattr(base.os, "geteuid", lambda: 0)
    monkeypatch.setattr(base.shutil, "which", lambda name: f"/usr/sbin/{name}")
    assert base.make(log, engine) == "made by debootstrap"
    return answers.lines


def test_a_base_without_a_registry_for_docker(monkeypatch, log):
    lines = bootstrapped(monkeypatch, log, DOCKER, {"pull": 1})
    assert lines[-1].startswith("docker import --platform linux/arm64 ")
    assert lines[-1].endswith(f"/base.tar {BASE}")
    assert not any("buildah" in line for line in lines)


def test_a_base_for_podman_asks_no_registry(monkeypatch, log):
    lines = bootstrapped(monkeypatch, log, PODMAN, {})
    assert lines[0].startswith("debootstrap ") and not any("pull" in line for line in lines)
    assert f"--force-check-gpg --keyring={ROOT}" in lines[0]
    archive = next(line for line in lines if line.startswith("tar "))
    assert "--exclude=./etc/hostname" in archive and "--exclude=./etc/resolv.conf" in archive
    assert lines[-1] == f"buildah commit --quiet container-1 {BASE}"


@pytest.mark.parametrize(("said", "kind"), [
    ("E: Failed getting release file http://example/Release", machine.Unable),
    ("E: Release signed by unknown key", Failed),
])
def test_no_mirror_is_no_failure_and_a_wrong_signature_is_one(said, kind, monkeypatch, log):
    monkeypatch.setattr(base, "KEYRING", ROOT)
    monkeypatch.setattr(base.os, "geteuid", lambda: 0)
    monkeypatch.setattr(base.shutil, "which", lambda name: f"/usr/sbin/{name}")
    status, words = log.status, ["sh", "-c", f"echo '{said}'; false"]
    monkeypatch.setattr(Log, "status", lambda self, command: status(words))
    with pytest.raises(kind):
        base.make(log, PODMAN)


# --- steps


def test_a_machine_that_cannot_skips_only_the_smoke_test(monkeypatch, capsys, tmp_path):
    def cannot(*arguments):
        raise machine.Unable("no such luck")

    monkeypatch.setattr(machine, "install", cannot)
    monkeypatch.setattr(machine, "engine", cannot)
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    assert command.main(["smoke"]) == 0
    assert command.main(["image"]) == 1
    assert capsys.readouterr().out == "arm64: SKIPPED: no such luck\n" * 2


def test_a_step_that_fails_names_its_log_and_shows_its_end(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    step = command.Step(lambda log: log.must(["sh", "-c", "echo why; exit 1"]), 10)
    monkeypatch.setitem(command.STEPS, "base", step)
    monkeypatch.setitem(command.STEPS, "tools", command.Step(lambda log: "", 10))
    for words in (["base"], ["smoke"]):
        assert command.main(words) == 1
        said = capsys.readouterr()
        assert said.out.endswith(f"arm64: sh ended with status 1: see {tmp_path}/base.log\n")
        assert "\nwhy\n" in said.err
    assert "$ sh -c" in (tmp_path / "base.log").read_text()


def test_wrong_answers_fail(monkeypatch, log):
    said = '{"cases": {"sealing": false}, "kernels": {"entropy_kernel": "compiled"}}'
    monkeypatch.setattr(machine, "engine", lambda: DOCKER)
    monkeypatch.setattr(Log, "output", lambda self, words: said)
    monkeypatch.setattr(Log, "tidy", lambda self, words: None)
    with pytest.raises(Failed, match="sealing"):
        steps.answers(log)


def test_containers_that_do_not_run_are_the_machines_fault(monkeypatch, log):
    monkeypatch.setattr(machine, "engine", lambda: PODMAN)
    monkeypatch.setattr(base, "make", lambda log, engine: "made")
    monkeypatch.setattr(Log, "tidy", lambda self, words: None)
    Answers(monkeypatch, {"inspect": 1, "/bin/true": 126})
    with pytest.raises(machine.Unable, match=r"containers do not run here \(status 126\)"):
        steps.base(log)


def test_the_demonstration_needs_root(monkeypatch, log):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(machine.Unable, match="belong to user 10001: run this step as root"):
        mission.fly(log, DOCKER, 160)


@pytest.mark.parametrize(("groups", "expected"), [
    ("0::/system.slice/docker-ab.scope\n",
     ["/sys/fs/cgroup/system.slice/docker-ab.scope/memory.peak"]),
    ("5:devices:/docker/ab\n4:memory:/docker/ab\n0::/\n",
     ["/sys/fs/cgroup/memory/docker/ab/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory.peak"]),
    ("3:cpu,cpuacct:/x\n", []),
])
def test_where_the_peak_stands(groups, expected):
    assert [str(file) for file in mission.peak_files(groups)] == expected
