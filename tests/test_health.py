"""The watchdog's command: a daemon that writes is healthy, one that has stopped writing is not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from onboard.__main__ import main
from onboard.health import PATIENCE
from tests.cli import ROOT


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The example configuration, and no file beside it."""
    shutil.copy(ROOT / "configs" / "onboard.yaml", tmp_path)
    (tmp_path / "state").mkdir()
    return tmp_path / "onboard.yaml"


def write(config: Path, seconds: float, interval: float = 1.0) -> None:
    said = {"time": time.time() + seconds, "interval": interval, "pid": 1}
    (config.parent / "state" / "health").write_text(json.dumps(said))


def healthy(config: Path) -> int:
    return main(["healthy", "--config", str(config)])


@pytest.mark.parametrize("seconds", [0, -PATIENCE / 2])
def test_a_daemon_that_works(config, seconds, capsys):
    write(config, seconds)
    assert healthy(config) == 0
    assert capsys.readouterr().out.startswith("healthy")


@pytest.mark.parametrize("seconds", [-2 * PATIENCE, 86_400])
def test_a_daemon_that_has_stopped(config, seconds, capsys):
    write(config, seconds)
    assert healthy(config) == 6
    assert "error 607" in capsys.readouterr().err


def test_a_daemon_says_itself_how_often_it_writes(config):
    write(config, -100, interval=95.0)
    assert healthy(config) == 0
    write(config, -100, interval=85.0)
    assert healthy(config) == 6


@pytest.mark.parametrize("content", [
    None, b"", b"[]", b"{}", b"\xff", b'{"time": "x", "interval": 1}', b'{"time": 1}',
    b'{"time": null, "interval": 1}', b'{"time": NaN, "interval": 1}',
])
def test_no_health_file(config, content, capsys):
    if content is not None:
        (config.parent / "state" / "health").write_bytes(content)
    assert healthy(config) == 6
    assert "error 607" in capsys.readouterr().err


def test_a_configuration_without_one(config, capsys):
    options = yaml.safe_load(config.read_bytes())
    options["health_file"] = None
    config.write_text(yaml.safe_dump(options))
    assert healthy(config) == 2
    assert "has no health_file" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "fault"), [
    ("health_file: 7", "health_file: expected path or null, got 7"),
    ("- 1", "expected a mapping"),
    ("a: [", "line 1: "),
    ("health_file: a\nhealth_file: b", "line 2: health_file: given twice, first in line 1"),
])
def test_a_configuration_that_cannot_be_read(config, text, fault, capsys):
    config.write_text(text)
    assert healthy(config) == 2
    assert fault in capsys.readouterr().err


def test_no_configuration(tmp_path, capsys):
    assert healthy(tmp_path / "none.yaml") == 2
    assert "it cannot be read: No such file or directory" in capsys.readouterr().err


def test_it_loads_nothing_of_the_daemon(config):
    """A watchdog must cost little: no sockets, no cryptography, no database."""
    write(config, 0)
    code = ("import sys; from onboard.__main__ import main; status = main(sys.argv[1:]); "
            "print(status, *{'zmq', 'Crypto', 'sqlite3', 'occulta.codec', 'occulta.link',"
            " 'onboard.config', 'onboard.selftest'} & set(sys.modules))")
    done = subprocess.run(
        [sys.executable, "-c", code, "healthy", "--config", str(config)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    assert done.stdout.splitlines()[-1] == "0"
