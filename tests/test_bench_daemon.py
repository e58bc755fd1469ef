"""The daemons' benchmark, small: it gets to its end, and its page says what was measured."""

from pathlib import Path

import pytest

from bench import daemon, docs

SMALL = {
    "GOODPUT_BYTES": 300_000, "FRAME_BYTES": 100_000, "FRAMES_TIMED": 2, "MANY": 2, "VERY_MANY": 3,
}


def test_everything_is_measured_and_the_page_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(daemon, name, value)
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    result = daemon.run(tmp_path, lambda _: None)
    result.machine = {"kind": "2 vCPU", **result.machine}
    assert docs.write({"daemon": result}, ["daemon"]) == [tmp_path / "daemon.md"]
    page = (tmp_path / "daemon.md").read_text()
    assert page.startswith("# The daemons\n")
    bounded = [figure for figure in result.figures if figure.bound is not None]
    assert [figure.bound for figure in bounded] == [
        daemon.LATENCY_BOUND, daemon.IDLE_BOUND, *[daemon.RESIDENT_BOUND] * 3,
        daemon.GROWTH_BOUND, daemon.GOODPUT_BOUND,
    ]
    for figure in result.figures:
        assert figure.value >= 0 or figure.unit == "MiB"
        assert "| " + " | ".join(figure.cells()) + " |" in page
    assert "| CPU of the flight daemon meanwhile | " in page
    assert " cores went to other machines of the same host meanwhile" in page
    for process in ("onboard", "link", "ground"):
        assert f"\n| {process} | " in page
    assert " kernel, libzmq " in page.splitlines()[-1]
    assert page.splitlines()[-1].startswith("Measured on: 2 vCPU, ")
