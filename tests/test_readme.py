"""What the README says to type works, and what the documents point to is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from occulta.errors import ExitCode
from occulta.schemes.robust import message
from occulta.schemes.robust.profiles import PROFILES
from tests.cli import ROOT, Outcome, Place, names, scene

README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = {"occulta-onboard": "onboard", "occulta-ground": "ground"}


def section(title: str) -> str:
    """The text under a heading."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str) -> list[str]:
    """What stands between fences."""
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def install(folder: Path) -> None:
    """The commands under the names that a set-up gives them."""
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name, program in PROGRAMS.items():
        line = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)}"
        (binaries / name).write_text(f'#!/bin/sh\n{line} -m {program} "$@"\n')
        (binaries / name).chmod(0o755)


def run_blocks(folder: Path, *titles: str) -> Outcome:
    script = "\n".join(["set -e", *(block for title in titles for block in blocks(section(title)))])
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, capture_output=True, check=False, timeout=120
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


def test_the_commands_of_use_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    install(tmp_path)
    done = run_blocks(tmp_path, "Use it")
    assert (done.status, done.err) == (0, "")
    said = done.out.decode()
    assert "intact, authentic: " in said.splitlines()[-1]
    assert re.search(r"^\d+ private bytes fit", said, re.MULTILINE)
    assert names(tmp_path / "recipient") == ["recipient.key", "recipient.pub"]
    assert names(tmp_path / "satellite") == ["satellite.key", "satellite.pub"]
    place.assert_recovered(tmp_path / "recovered")


@pytest.mark.slow
def test_the_commands_of_robust_hiding(tmp_path: Path) -> None:
    Place(tmp_path, scene(side=512))
    install(tmp_path)
    done = run_blocks(tmp_path, "Use it", "Robust hiding")
    assert (done.status, done.err) == (0, "")
    *_, fits, marked, said = done.out.decode().splitlines()
    assert fits == "201 private bytes fit unsigned, 137 signed: 2048 gross bits (profile default)"
    assert marked.endswith(" bytes, default, a message of 1152 bits, signed")
    assert said.startswith("intact, authentic: 20 private bytes, default, ")
    assert names(tmp_path / "message") == ["private.bin", "report.json"]
    assert (tmp_path / "message" / "private.bin").read_text() == "48.2083 N 16.3725 E\n"


def test_what_robust_hiding_carries() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) / (\d+) ", section("Robust hiding"), re.M)
    assert {name for name, *_ in rows} == set(PROFILES)
    for name, *figures in rows:
        gross, unsigned, signed = map(int, figures)
        bits = message.most_bits(PROFILES[name], 512, 512)
        assert gross == message.gross_bits(PROFILES[name], 512, 512)
        assert (unsigned, signed) == (message.room(bits, False), message.room(bits, True))


def test_every_command_is_shown() -> None:
    shown = " ".join(blocks(section("Use it")))
    for command in ("keygen", "capacity", "protect", "recover"):
        assert re.search(rf"\.venv/bin/occulta-(onboard|ground) +{command} ", shown)


def test_the_exit_codes_are_those_of_the_programs() -> None:
    table = re.findall(r"^\| (\d) \| ", section("Use it"), re.MULTILINE)
    assert [int(code) for code in table] == [int(code) for code in ExitCode]


def links(document: Path) -> list[str]:
    """Targets of the links of a document, those to other sites left out."""
    found = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_linked_files_exist(document: Path) -> None:
    for link in links(document):
        name = link.partition("#")[0]
        assert not name or (document.parent / name).exists(), link


def test_the_readme_links_to_the_documents() -> None:
    assert {"docs/security.md", "docs/reversible.md"} <= set(links(ROOT / "README.md"))


def test_the_folders_of_the_tree_exist() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", section("The tree"), re.MULTILINE)
    folders = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert folders
    assert [name for name in folders if not (ROOT / name).is_dir()] == []
