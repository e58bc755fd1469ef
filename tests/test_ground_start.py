"""The ground node's start: it is alone with its archive, and what nobody completes goes."""

from occulta.errors import ExitCode
from occulta.program.filestore import PARTS
from tests.missions import GROUND, Mission


def test_a_node_sweeps_at_its_start_and_a_second_one_changes_nothing(tmp_path):
    with Mission(tmp_path) as mission:
        parts = mission.archive / "inbox" / PARTS
        parts.mkdir(parents=True)
        (parts / "1-2.part").write_bytes(b"of a transaction that is long gone")
        mission.start(GROUND)
        mission.until(lambda: mission.said(GROUND, "1 files of transfers that nobody knows"))
        assert list(parts.iterdir()) == []
        (parts / "1-3.part").write_bytes(b"of one that begins")
        mission.processes["first"] = mission.processes[GROUND]
        second = mission.launch(GROUND)
        assert mission.wait_for_end(GROUND) == ExitCode.MACHINE
        assert "is in use by another ground node" in second.complaint()
        assert [path.name for path in parts.iterdir()] == ["1-3.part"]
        mission.stop()
