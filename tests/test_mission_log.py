"""The flight daemon's log and events say what happens, by the names that the operator has given.

One mission: an item and a frame, a stranger at the camera's socket, telecommands, a contact's end.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from occulta.errors import Reason
from sim.scenario.mission import GROUND, LINK, ONBOARD
from tests.cli import ROOT, environment
from tests.missions import SMALL, Mission

ALIVE = "are-you-alive"


def stranger(mission: Mission) -> subprocess.Popen[str]:
    """A camera whose name is on no list, and who gives up."""
    words = ["camera", "--connect", mission.made.camera, "--name", "stranger", "--timeout", "1",
             "--synthetic", "1", "--megapixels", "0.01"]
    return subprocess.Popen(
        [sys.executable, "-m", "sim", *words], env=environment(), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


def lines(mission: Mission) -> list[str]:
    """What the daemon's lives said, without times."""
    texts = [life.text() for life in mission.lives if life.name == ONBOARD]
    return [re.sub(r"^\S+ \S+ ", "", line) for text in texts for line in text.splitlines()]


def test_the_log_tells_the_story(tmp_path: Path) -> None:
    with Mission(tmp_path, SMALL) as mission:
        mission.start(GROUND, ONBOARD, LINK)
        mission.offer()
        mission.until(mission.is_settled)
        told = mission.command(ALIVE)
        assert told.accepted, told
        assert not mission.command("cancel", product="00" * 16).accepted
        with stranger(mission) as process:
            mission.until(lambda: process.poll() is not None)
            out, errors = process.communicate()
        assert (process.returncode, out) == (Reason.DAEMON_SILENT.exit_code, "")
        assert "no answer for 1 s" in errors
        refused = r"WARNING ipc://\S*camera\.ipc: refused [0-9]+ times what is not on the list"
        mission.until(lambda: re.search(refused, "\n".join(lines(mission))))
        mission.stop(LINK)
        mission.until(lambda: mission.said(ONBOARD, "contact with ground has ended"))
        mission.stop()
        (product,) = mission.products()
        frame, item, size = mission.frames[0].name, mission.frames[0].item, r"[1-9][0-9]* bytes"
        story = [
            "INFO running, entity 1",
            "INFO contact with ground has begun",
            f"INFO item {item} of payload stored: {size}",
            f"INFO frame {frame} of camera stored: product {product.id.hex()}, reversible, {size}",
            f"INFO product {product.id.hex()} delivered to ground",
            f"INFO {ALIVE} from ground carried out",
            "INFO cancel from ground refused: no such product",
            "INFO contact with ground has ended",
            "INFO stopped",
        ]
        said = lines(mission)
        for line in story:
            assert sum(re.fullmatch(line, found) is not None for found in said) == 1, (line, said)
        assert sum(re.match(refused, found) is not None for found in said) == 1
        assert mission.troubles() == []
        for text in (f"product {product.id.hex()} delivered to ground",
                     "cancel from ground refused: no such product"):
            assert mission.said(GROUND, text)
