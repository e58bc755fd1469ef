"""What the relay tells of itself: timelines, and a file that is always whole."""

import json

from sim.link import statistics
from sim.link.model import Counts
from sim.link.statistics import MAX_SECONDS, Timeline


def test_a_timeline_tells_what_each_second_added():
    timeline, counts = Timeline(), Counts()
    counts.bytes_sent, counts.bytes_lost = 100, 5
    timeline.end_second(0, counts)
    counts.bytes_sent, counts.bytes_lost = 130, 25
    timeline.end_second(1, counts)
    assert list(timeline.seconds) == [(0, 100, 5), (1, 30, 20)]
    for second in range(2, MAX_SECONDS + 10):
        timeline.end_second(second, counts)
    assert len(timeline.seconds) == MAX_SECONDS
    assert timeline.seconds[0] == (10, 0, 0)


def test_statistics_are_replaced_whole(tmp_path):
    statistics.write(tmp_path / "told.json", {"a": 1})
    statistics.write(tmp_path / "told.json", {"b": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["told.json"]
    assert json.loads((tmp_path / "told.json").read_text()) == {"b": 2}
