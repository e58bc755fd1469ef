"""Deployment: image, compose file, manifests and unit agree with each other and with the code."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from deploy.arm64.engine import IMAGE
from onboard.__main__ import build_parser
from tests.cli import ROOT

DOCKERFILE = (ROOT / "Dockerfile.arm64").read_text()
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
K3S = list(yaml.safe_load_all((ROOT / "deploy" / "k3s.yaml").read_text()))
FIRST = yaml.safe_load((ROOT / "deploy" / "k3s-first.yaml").read_text())
SERVICE = (ROOT / "deploy" / "occulta-onboard.service").read_text()
POD = K3S[1]["spec"]["template"]["spec"]
CONFIG = "/var/lib/occulta/onboard.yaml"


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
    entry = re.search(r"^ENTRYPOINT (\[.*)$", DOCKERFILE, re.MULTILINE).group(1)
    default = re.search(r"^CMD (\[\"run\".*)$", DOCKERFILE, re.MULTILINE).group(1)
    check = re.search(r"^    CMD (\[.*healthy.*)$", DOCKERFILE, re.MULTILINE).group(1)
    probe = POD["containers"][0]["livenessProbe"]["exec"]["command"]
    assert yaml.safe_load(check) == probe and yaml.safe_load(entry) == probe[:1]
    for words in (yaml.safe_load(default), probe[1:], POD["containers"][0]["args"]):
        options = build_parser().parse_args(words)
        assert str(options.config) == CONFIG
    service = re.search(r"^ExecStart=/opt/occulta/bin/occulta-onboard (.*)$", SERVICE, re.MULTILINE)
    assert str(build_parser().parse_args(service.group(1).split()).config) == CONFIG


def test_the_command_has_its_name_in_the_image():
    slim = (ROOT / "deploy" / "arm64" / "slim.sh").read_text()
    script = slim[slim.index("<<'END'\n") + 8:slim.index("\nEND\n")]
    assert script.startswith("#!/opt/occulta/bin/python\n")
    assert "from onboard.__main__ import main" in script and "sys.exit(main())" in script
    assert "PATH=/opt/occulta/bin:" in DOCKERFILE


def test_probes_have_time():
    check = dict(re.findall(r"--(interval|timeout)=([0-9]+)s", DOCKERFILE))
    for probe in (POD["containers"][0][name] for name in ("startupProbe", "livenessProbe")):
        assert [str(probe[name]) for name in ("periodSeconds", "timeoutSeconds")] == [
            check["interval"], check["timeout"]] == ["30", "15"]


def test_sockets_are_shared_read_only_with_the_group():
    camera = COMPOSE["services"]["camera"]
    assert camera["volumes"] == ["run:/run/occulta:ro"] and camera["profiles"]
    assert camera["user"].split(":") == ["10002", "10001"]
    assert "run:/run/occulta" in COMPOSE["services"]["onboard"]["volumes"]
    options = COMPOSE["volumes"]["run"]["driver_opts"]
    assert options["type"] == "tmpfs" and "mode=0750,uid=10001,gid=10001" in options["o"]
    mounts = {mount["name"]: mount["mountPath"] for mount in POD["containers"][0]["volumeMounts"]}
    assert mounts == {"occulta": "/var/lib/occulta", "run": "/run/occulta", "tmp": "/tmp"}
    assert {volume["name"] for volume in POD["volumes"]} == set(mounts)
    assert "install -d -o 10001 -g 10001 -m 0750 /run/occulta" in DOCKERFILE
    assert "RuntimeDirectory=occulta\nRuntimeDirectoryMode=0750\n" in SERVICE


def test_the_first_pod_is_confined_as_the_daemon_is():
    daemon, first = POD["containers"][0], FIRST["spec"]["containers"][0]
    for name in ("image", "imagePullPolicy", "securityContext", "volumeMounts"):
        assert first[name] == daemon[name]
    assert FIRST["spec"]["volumes"] == POD["volumes"]
    assert FIRST["spec"]["securityContext"] == POD["securityContext"]


def test_another_revision_makes_no_layer_again():
    flight = DOCKERFILE[DOCKERFILE.index("AS flight"):DOCKERFILE.index("FROM tools AS suite")]
    after = flight[flight.index("\nARG "):]
    assert not re.search(r"^(RUN|COPY|ENV|USER)", after, re.MULTILINE)
    assert "REVISION" not in flight[:flight.index("\nARG ")]


@pytest.mark.parametrize("pattern", ["*.key", "*.keys", "*.secret", "arm64-output", "bench-output"])
def test_secrets_and_outputs_stay_out_of_the_build(pattern):
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    last = max(lines.index(line) for line in lines if line.startswith("!"))
    assert f"**/{pattern}" in lines[last:]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path):
    unit = tmp_path / "occulta-onboard.service"
    unit.write_text(SERVICE.replace("/opt/occulta/bin/occulta-onboard", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, unit.name in done.stderr) == (0, False), done.stderr


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
    assert "@resources" not in re.sub("^#.*", "", SERVICE, flags=re.MULTILINE)  # nor without this
    assert "StartLimitIntervalSec=0" in SERVICE  # else five quick failures end it for good
    assert "OCCULTA_KERNEL=compiled" in SERVICE
    assert "fsGroup" not in POD["securityContext"]  # keys would be readable by a group
