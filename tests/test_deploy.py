"""Deployment: the image's steps as commands, and files that agree with each other and the code.

The image itself is built and proved by `python3 dev.py arm64`, which takes minutes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from deploy.arm64 import __main__ as command
from deploy.arm64 import machine, steps
from deploy.arm64.engine import DOCKER, IMAGE, podman
from deploy.arm64.log import Failed, Log
from onboard.__main__ import build_parser
from tests.cli import ROOT

DOCKERFILE = (ROOT / "Dockerfile.arm64").read_text()
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
K3S = list(yaml.safe_load_all((ROOT / "deploy" / "k3s.yaml").read_text()))
SERVICE = (ROOT / "deploy" / "occulta-onboard.service").read_text()
POD = K3S[1]["spec"]["template"]["spec"]
CONFIG = "/var/lib/occulta/onboard.yaml"


# --- steps


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


@pytest.mark.parametrize("engine", [DOCKER, podman(with_certificates=False)], ids=lambda e: e.name)
def test_a_container_is_confined(engine, tmp_path):
    words = engine.run(IMAGE, ["run"], memory_mib=160, volumes=[tmp_path], name="box")
    line = " ".join(words)
    for part in ("--read-only", "--cap-drop all", "no-new-privileges", "--memory 160m",
                 "--memory-swap 160m", "--pull=never", f"-v {tmp_path}:{tmp_path}",
                 "--tmpfs /tmp:size=16m"):
        assert part in line
    assert words[-2:] == [IMAGE, "run"]


def test_nothing_is_pulled_where_no_registry_is():
    engine = podman(with_certificates=False)
    words = engine.build("flight", IMAGE, {"VERSION": "1"})
    assert "--pull-never" in words and f"BASE={engine.base}" in words
    assert engine.base.startswith("localhost/") and "VERSION=1" in words


def test_a_machine_that_cannot_skips_only_the_smoke_test(monkeypatch, capsys, tmp_path):
    def cannot():
        raise machine.Unable("no such luck")

    monkeypatch.setattr(machine, "install", cannot)
    monkeypatch.setattr(machine, "engine", cannot)
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    assert command.main(["smoke"]) == 0
    assert command.main(["image"]) == 1
    assert capsys.readouterr().out == "arm64: SKIPPED: no such luck\n" * 2


def test_a_step_that_fails_names_its_log(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    monkeypatch.setitem(command.STEPS, "base", lambda log: log.must(["false"]))
    assert command.main(["base"]) == 1
    assert capsys.readouterr().out == f"arm64: false ended with status 1: see {tmp_path}/base.log\n"
    assert "$ false" in (tmp_path / "base.log").read_text()


def test_wrong_answers_fail(monkeypatch, tmp_path):
    said = '{"cases": {"sealing": false}, "kernels": {"entropy_kernel": "compiled"}}'
    monkeypatch.setattr(machine, "engine", lambda: DOCKER)
    monkeypatch.setattr(Log, "output", lambda self, words: said)
    with Log(tmp_path / "log") as log, pytest.raises(Failed, match="sealing"):
        steps.answers(log)


# --- files


def test_the_image_holds_what_flies_and_nothing_else():
    flight = DOCKERFILE[DOCKERFILE.index("AS flight"):DOCKERFILE.index("FROM tools AS suite")]
    assert re.findall(r"^COPY .*", flight, re.MULTILINE) == [
        "COPY --from=build /opt/occulta /opt/occulta"]
    slim = (ROOT / "deploy" / "arm64" / "slim.sh").read_text()
    assert "cp -R occulta onboard " in slim
    assert re.search(r"^USER 10001:10001$", flight, re.MULTILINE)
    for word in ("HEALTHCHECK", "STOPSIGNAL SIGTERM", "OCCULTA_KERNEL=compiled", "VOLUME"):
        assert word in flight


def test_the_commands_that_containers_run_exist():
    entry = re.search(r"^CMD (\[\"run\".*)$", DOCKERFILE, re.MULTILINE).group(1)
    check = re.search(r"^    CMD (\[.*healthy.*)$", DOCKERFILE, re.MULTILINE).group(1)
    probe = POD["containers"][0]["livenessProbe"]["exec"]["command"]
    assert yaml.safe_load(check) == probe
    for words in (yaml.safe_load(entry), probe[3:], POD["containers"][0]["args"]):
        options = build_parser().parse_args(words)
        assert str(options.config) == CONFIG


def test_limits_agree_everywhere():
    service = COMPOSE["services"]["onboard"]
    container = POD["containers"][0]
    assert service["mem_limit"] == service["memswap_limit"] == "128m"
    assert container["resources"]["limits"]["memory"] == "128Mi"
    assert "MemoryMax=128M" in SERVICE and "MemorySwapMax=0" in SERVICE
    assert service["user"] == "10001:10001" and POD["securityContext"]["runAsUser"] == 10001
    assert service["read_only"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert service["cap_drop"] == ["ALL"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert K3S[1]["spec"]["strategy"] == {"type": "Recreate"}
    assert service["image"] == container["image"] == IMAGE
    assert service["pull_policy"] == "never" and container["imagePullPolicy"] == "Never"


def test_what_reviews_found_stays_mended():
    flight = DOCKERFILE[DOCKERFILE.index("AS flight"):DOCKERFILE.index("FROM tools AS suite")]
    assert "PYTHONSAFEPATH=1" in flight and "WORKDIR /\n" in flight  # no code from the volume
    assert "AF_NETLINK" in SERVICE  # libzmq aborts without it
    assert "fsGroup" not in POD["securityContext"]  # keys would be readable by a group
