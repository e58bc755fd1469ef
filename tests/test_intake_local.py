"""Intake over ipc: the socket is for the daemon's user and group, whatever the umask."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack

import pytest
import yaml

from ground.provision import Mission, provision
from occulta.program.config import load
from onboard.assembly import build
from onboard.config import OnboardConfig


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o000])
def test_a_socket_is_for_user_and_group(mask, tmp_path):
    provision(tmp_path / "mission", Mission.generate(), 7301, 7302)
    file = tmp_path / "mission" / "onboard" / "onboard.yaml"
    options = yaml.safe_load(file.read_bytes())
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    options["camera"]["bind"] = f"ipc://{sockets}/camera.ipc"
    options["private"]["bind"] = f"ipc://{sockets}/private.ipc"
    file.write_text(yaml.safe_dump(options))
    before = os.umask(mask)
    try:
        with ExitStack() as stack:
            build(load(file, OnboardConfig), True, stack)
            modes = {path.name: path.stat().st_mode for path in sockets.iterdir()}
            state = file.with_name("state").stat().st_mode
        after = os.umask(mask)
    finally:
        os.umask(before)
    assert all(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660 for mode in modes.values())
    assert sorted(modes) == ["camera.ipc", "private.ipc"]
    assert after == mask and stat.S_IMODE(state) == 0o700
