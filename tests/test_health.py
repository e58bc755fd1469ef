"""The watchdog's command: a daemon that writes is healthy, one that has stopped writing is not."""

from __future__ import annotations

import json
import shutil
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


def write(config: Path, seconds: float) -> None:
    now = time.time() + seconds
    (config.parent / "state" / "health").write_text(json.dumps({"time": now, "pid": 1}))


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


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"time": "x"}', b'{"time": null}'])
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
