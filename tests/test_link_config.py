"""The relay's configuration: presets, schedules, and every fault with its place."""

import math

import pytest

from occulta.errors import OccultaError, Reason
from occulta.program import config
from sim.link.config import PRESETS, Link, load, schedule
from sim.link.orbit import Passes
from sim.link.settings import Bursts, Loss, Settings, SignalToNoise
from sim.link.windows import Windows

SIDES = """
space: {bind: "tcp://127.0.0.1:*", secret_key: relay.key, clients: [
  {name: sat-1, public_key: sat-1.pub}, {name: sat-2, public_key: sat-2.pub}]}
ground: {bind: "tcp://127.0.0.1:*", secret_key: relay.key, clients: [
  {name: north, public_key: north.pub}, {name: south, public_key: south.pub}]}
"""
PAIRS = "pairs: [{space: sat-1, ground: north}, {space: sat-2, ground: south}]\n"
OVERHEAD = """
overhead:
  orbit: {altitude: 550, inclination: 90}
  station: {latitude: 90, longitude: 0, min_elevation: 10}
"""


def written(folder, text):
    path = folder / "link.yaml"
    path.write_text(text)
    return path


def loaded(folder, text=""):
    return load(written(folder, SIDES + PAIRS + text))


def faults(folder, text):
    """The lines after the first of a refusal."""
    with pytest.raises(OccultaError) as caught:
        load(written(folder, text))
    assert caught.value.reason is Reason.CONFIG_INVALID
    first, *found = caught.value.detail.split("\n")
    assert first == f"the configuration {folder / 'link.yaml'} cannot be used"
    return found


# --- presets


def test_there_are_five_presets():
    names = {path.stem for path in PRESETS.iterdir()}
    assert names == {"clean", "uhf", "s-band", "x-band", "storm"}


@pytest.mark.parametrize("name", ["clean", "uhf", "s-band", "x-band", "storm"])
def test_a_preset_is_found_by_its_name(tmp_path, name):
    relay, link = loaded(tmp_path, f"preset: {name}")
    assert relay.preset.file == PRESETS / f"{name}.yaml"
    assert link == config.load(PRESETS / f"{name}.yaml", Link)
    assert not link.needs_orbit


def preset(name):
    return config.load(PRESETS / f"{name}.yaml", Link)


def test_clean_has_no_faults():
    clean = preset("clean")
    assert clean == Link(down=Settings(in_flight=1 << 28), up=Settings(in_flight=1 << 28))


@pytest.mark.parametrize(("name", "rate", "packet", "loss"), [
    ("uhf", 9600, 256, 0.0156), ("s-band", 2_000_000, 1024, 0.01),
    ("x-band", 150_000_000, 8192, 0.01), ("storm", 20_000_000, 1024, 0.05),
])
def test_rates_and_losses_of_the_presets(name, rate, packet, loss):
    down = preset(name).down
    assert (down.rate, down.states().mean) == (rate, pytest.approx(loss, rel=0.02))
    assert down.queue >= 64 * packet


def test_the_storm_has_everything():
    storm = preset("storm")
    for way in (storm.down, storm.up):
        assert way.bursts == Bursts(mean=0.05, length=8)
        assert way.bit_error_rate == 1e-6
        assert min(way.duplicate, way.reorder, way.reorder_delay, way.truncate, way.jitter) > 0
    assert storm.outages == ((20, 30),)
    assert storm.down.rate > storm.up.rate


# --- what is read


def test_defaults(tmp_path):
    relay, link = loaded(tmp_path)
    assert link == Link() == Link(down=Settings(), up=Settings(), outages=())
    assert (relay.seed, relay.contacts, relay.statistics, relay.nodes) == (1, "always", None, ())
    when = schedule(relay, link)
    assert when.in_contact(0) and when.in_contact(1e9) and when.elevation is None


def test_settings_in_full(tmp_path):
    _, link = loaded(tmp_path, """
link:
  down: {rate: 9600, queue: 1000, in_flight: 2000, delay: 0.25, jitter: 0.5, duplicate: 0.125,
    loss: {good_to_bad: 0.5, bad_to_good: 0.25, in_good: 0.125, in_bad: 1},
    bit_error_rate: 1.0e-6, reorder: 0.25, reorder_delay: 2, truncate: 0.0625}
  up: {bursts: {mean: 0.5, length: 8}}
""")
    assert link.up == Settings(bursts=Bursts(mean=0.5, length=8))
    assert link.down == Settings(
        rate=9600, queue=1000, in_flight=2000, delay=0.25, jitter=0.5, duplicate=0.125,
        loss=Loss(good_to_bad=0.5, bad_to_good=0.25, in_good=0.125, in_bad=1),
        bit_error_rate=1e-6, reorder=0.25, reorder_delay=2, truncate=0.0625,
    )


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("down: {delay: 3}")
    relay, link = loaded(tmp_path, "preset: mine.yaml\nstatistics: out/told.json")
    assert link == Link(down=Settings(delay=3))
    assert relay.statistics == tmp_path / "out" / "told.json"
    assert relay.space.secret_key == tmp_path / "relay.key"


def test_a_schedule_of_windows_less_outages(tmp_path):
    relay, link = loaded(tmp_path, """
contacts: [[0, 100], [200, 300]]
outages: [[50, 60]]
link: {outages: [[90, 210]]}
""")
    when = schedule(relay, link)
    expected = Windows([(0, 50), (60, 90), (210, 300)])
    assert [when.in_contact(t) for t in range(-5, 400)] == [t in expected for t in range(-5, 400)]
    assert when.elevation is None


def test_a_schedule_by_orbit_less_outages(tmp_path):
    relay, link = loaded(tmp_path, OVERHEAD + """
outages: [[1400, 1500]]
link: {down: {signal_to_noise: {low: 9.2, zenith: 21.3}}}
""")
    when = schedule(relay, link)
    assert link.down.signal_to_noise == SignalToNoise(low=9.2, zenith=21.3)
    passes = Passes(relay.overhead.orbit, relay.overhead.station)
    ((rise, end),) = passes.windows(0, 5000)
    assert 1190 < rise < 1200 and 1670 < end < 1680
    times = (rise - 1, rise + 1, 1399, 1400, 1499, 1500, end - 1, end + 1)
    assert [when.in_contact(t) for t in times] == [
        False, True, True, False, False, True, True, False
    ]
    assert when.elevation(1400) == passes.elevation(1400) > 10


# --- faults


def test_all_faults_at_once(tmp_path):
    found = faults(tmp_path, """
space: {bind: "udp://x", secret_key: relay.key, client: []}
pairs: []
contacts: [[3, 2], [0, .nan]]
sed: 3
link: {down: {rate: fast, los: {}, jitter: -1}, up: {bursts: {mean: 2}}}
overhead: {orbit: {altitude: 20, inclination: 0}}
""")
    window = "expected [start, end] in seconds, the start before the end, got a list"
    assert found == [
        "sed: unknown; did you mean seed?",
        "space.client: unknown; did you mean clients?",
        'space.bind: expected ipc://PATH or tcp://HOST:PORT, got "udp://x"',
        "pairs: expected at least 1 items, got 0",
        "link.down.los: unknown; did you mean loss?",
        'link.down.rate: expected number 1..1000000000000 or null, got "fast"',
        "link.down.jitter: expected number 0..3600, got -1",
        "link.up.bursts.mean: expected number from 0 below 1, got 2",
        "link.up.bursts.length: missing",
        f"contacts[0]: {window}",
        f"contacts[1]: {window}",
        "overhead.orbit.altitude: expected number 100..100000, got 20",
        "overhead.station: missing",
    ]


@pytest.mark.parametrize(("text", "expected"), [
    ("preset: clean\nlink: {}", "link: give preset or link, not both"),
    ("contacts: []" + OVERHEAD, "overhead: give contacts or overhead, not both"),
    ("contacts: never", 'contacts: expected "always" or list, got "never"'),
    ("outages: [[1, 1]]",
     "outages[0]: expected [start, end] in seconds, the start before the end, got a list"),
    ("preset: gale",
     'preset: expected the name of a preset, or a path that ends in .yaml, got "gale"'),
    ("preset: ../links/storm",
     'preset: expected the name of a preset, or a path that ends in .yaml, '
     'got "../links/storm"'),
    ("link: {up: {signal_to_noise: {low: 1, zenith: 2}}}",
     "overhead: missing: signal_to_noise depends on the elevation"),
    ("link: {up: {loss: {in_good: 0.1}, bursts: {mean: 0.1, length: 2}}}",
     "link.up.bursts: give loss or bursts, not both"),
    ("seed: -1", "seed: expected int from 0 below 4294967296, got -1"),
])
def test_one_fault(tmp_path, text, expected):
    assert faults(tmp_path, SIDES + PAIRS + text) == [expected]


def test_every_peer_is_in_one_pair(tmp_path):
    pairs = "pairs: [{space: sat-1, ground: north}, {space: sat-1, ground: west}]"
    assert faults(tmp_path, SIDES + pairs) == [
        "pairs: sat-1 of space stands in 2 pairs, not in one",
        "pairs: sat-2 of space stands in 0 pairs, not in one",
        "pairs: south of ground stands in 0 pairs, not in one",
        "pairs: west is no peer on ground",
    ]


NODE = "nodes: [{name: %s, address: %s, secret_key: relay.key, server_key: south.pub}]\n"


def test_a_node_is_a_peer_like_others(tmp_path):
    node = NODE % ("south", '"tcp://127.0.0.1:7001"')
    assert faults(tmp_path, SIDES + PAIRS + node) == ["ground: 2 peers are called south"]
    other = SIDES.replace(", {name: south, public_key: south.pub}", "")
    relay, _ = load(written(tmp_path, other + PAIRS + node))
    assert relay.nodes[0].server_key == tmp_path / "south.pub"
    anywhere = faults(tmp_path, other + PAIRS + NODE % ("south", '"tcp://*:7001"'))
    assert anywhere == ["nodes[0].address: needs a host and a port to connect to"]


def test_satellites_need_an_address(tmp_path):
    assert faults(tmp_path, "space: {}\npairs: [{space: a, ground: b}]") == [
        "space.bind: missing", "pairs: a is no peer on space", "pairs: b is no peer on ground",
    ]


def test_a_preset_with_faults_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("down: {rate: 0}\nups: {}")
    with pytest.raises(OccultaError) as caught:
        loaded(tmp_path, "preset: mine.yaml")
    assert caught.value.detail.split("\n") == [
        f"the configuration {tmp_path / 'mine.yaml'} cannot be used",
        "ups: unknown; did you mean up?",
        "down.rate: expected number 1..1000000000000 or null, got 0",
    ]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OccultaError) as caught:
        load(tmp_path / "none.yaml")
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.detail.endswith("it cannot be read: No such file or directory")


def test_without_a_window_there_is_never_contact(tmp_path):
    relay, link = loaded(tmp_path, "contacts: []")
    assert not any(schedule(relay, link).in_contact(time) for time in (0, 1, math.inf))
