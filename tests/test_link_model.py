"""The link model: every fault by its numbers, in virtual time and with fixed seeds."""

import math
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occulta.program.typed import Faults
from sim.link.model import LinkModel
from sim.link.settings import Bursts, Loss, Settings, SignalToNoise
from sim.link.windows import Windows

N = 20_000
X_BAND = SignalToNoise(low=9.2, zenith=21.3)


def numbered(count, size=8):
    """Packets that differ."""
    return [number.to_bytes(size, "big") for number in range(count)]


def drained(model, until=math.inf):
    """What arrives up to a time: (time, packet)."""
    found = []
    while (time := model.next_time()) is not None and time <= until:
        found += [(time, packet) for packet in model.due(time)]
    return found


def carried(model, submissions):
    """Hand in (packet, time) each at its time; everything that arrives: (time, packet)."""
    found = []
    for packet, time in submissions:
        found += drained(model, time)
        model.submit(packet, time)
    return found + drained(model)


def sent_through(settings, packets, seed=1, step=1e-3):
    """Send one packet per step: what arrives, and the counts."""
    model = LinkModel(settings, seed)
    times = (number * step for number in range(len(packets)))
    found = [packet for _, packet in carried(model, zip(packets, times, strict=True))]
    assert_conserved(model)
    return found, model.counts


def spread(probability, count=N):
    """Four standard deviations of a share."""
    return 4 * math.sqrt(probability * (1 - probability) / count)


def assert_conserved(model):
    """Nothing appeared or vanished uncounted, now that nothing is under way."""
    counts = model.counts
    dropped = counts.dropped_queue + counts.dropped_outage
    assert model.next_time() is None
    assert counts.submitted + counts.duplicated == counts.sent + counts.lost + dropped


def bits_changed(before, after):
    return (int.from_bytes(before, "big") ^ int.from_bytes(after, "big")).bit_count()


# --- without faults


@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0, 0.5)), min_size=1, max_size=40),
    st.sampled_from([None, 100.0, 9600.0, 1e6]), st.floats(0, 10), st.floats(0, 1),
)
def test_every_packet_arrives_once_in_order_after_the_right_time(sent, rate, delay, jitter):
    now, free, last, submissions, bounds = 0.0, 0.0, 0.0, [], []
    for number, (size, gap) in enumerate(sent):
        now += gap
        submissions.append((bytes([number]) * (1 + size), now))
        free = max(now, free) + (8 * (1 + size) / rate if rate else 0.0)
        bounds.append((free + delay, free + delay + jitter))
    model = LinkModel(Settings(rate=rate, delay=delay, jitter=jitter), 7)
    found = carried(model, submissions)
    assert [packet for _, packet in found] == [packet for packet, _ in submissions]
    for (time, _), (earliest, latest) in zip(found, bounds, strict=True):
        assert max(earliest, last) <= time <= max(latest, last)
        last = time
    assert_conserved(model)
    assert model.counts.sent == len(sent)
    assert model.counts.bytes_sent == model.counts.bytes_submitted


def test_nothing_arrives_early():
    model = LinkModel(Settings(rate=8000, delay=2), 1)
    model.submit(bytes(1000), 10.0)
    assert model.next_time() == 13.0
    assert model.due(math.nextafter(13.0, 0)) == []
    assert model.due(13.0) == [bytes(1000)]
    assert model.next_time() is None


def test_jitter_uses_its_range_and_keeps_the_order():
    model = LinkModel(Settings(delay=1, jitter=0.5), 1)
    found = carried(model, [(packet, 10.0 * n) for n, packet in enumerate(numbered(2000))])
    late = [time - 10.0 * n - 1 for n, (time, _) in enumerate(found)]
    assert 0 <= min(late) < 0.001 and 0.499 < max(late) <= 0.5 + 1e-9
    assert abs(sum(late) / len(late) - 0.25) < 4 * 0.5 / math.sqrt(12 * 2000)
    assert sent_through(Settings(jitter=0.5), numbered(2000))[0] == numbered(2000)


def test_time_does_not_go_back():
    model = LinkModel(Settings(), 1)
    model.submit(b"a", 5.0)
    with pytest.raises(ValueError, match=r"time went back from 5.0 to 4.0"):
        model.submit(b"b", 4.0)
    with pytest.raises(ValueError, match="time went back"):
        model.due(4.0)


# --- limits


def test_the_queue_drops_what_comes_last():
    model = LinkModel(Settings(rate=8000, queue=3000), 1)
    packets = numbered(5, 1000)
    found = carried(model, [(packet, 0.0) for packet in packets])
    assert found == [(1.0, packets[0]), (2.0, packets[1]), (3.0, packets[2])]
    assert (model.counts.dropped_queue, model.counts.bytes_lost) == (2, 2000)
    assert_conserved(model)


def test_the_queue_empties_at_the_rate():
    model = LinkModel(Settings(rate=8000, queue=3000), 1)
    for packet in numbered(3, 1000):
        model.submit(packet, 0.0)
    model.submit(bytes(500), 0.49)
    assert model.counts.dropped_queue == 1
    model.submit(bytes(500), 0.5)
    assert model.counts.dropped_queue == 1
    model.submit(bytes(1), 0.5)
    assert model.counts.dropped_queue == 2


@pytest.mark.parametrize("rate", [None, 8e6])
def test_a_packet_longer_than_the_queue(rate):
    model = LinkModel(Settings(rate=rate, queue=1000), 1)
    model.submit(bytes(1000), 0.0)
    model.submit(bytes(1001), 10.0)
    assert (model.counts.dropped_queue, len(model.due(20.0))) == (1, 1)


def test_what_is_in_flight_is_bounded():
    model = LinkModel(Settings(delay=10, in_flight=2000), 1)
    for number in range(4):
        model.submit(bytes(1000), float(number))
    assert model.counts.dropped_queue == 2
    assert len(model.due(10.0)) == 1
    model.submit(bytes(1001), 10.25)
    assert model.counts.dropped_queue == 3
    model.submit(bytes(1000), 10.5)
    assert model.counts.dropped_queue == 3
    assert len(model.due(30.0)) == 2


def test_a_lost_packet_occupies_the_channel():
    model = LinkModel(Settings(rate=8000, loss=Loss(in_good=1)), 1)
    model.submit(bytes(1000), 0.0)
    model.submit(bytes(1_048_000), 0.0)
    assert (model.counts.lost, model.counts.dropped_queue) == (1, 1)


def test_what_nobody_takes_is_counted_again():
    model = LinkModel(Settings(), 1)
    model.submit(bytes(10), 0.0)
    model.submit(bytes(20), 0.0)
    first, second = model.due(0.0)
    model.not_taken(first, "dropped_queue")
    model.not_taken(second, "dropped_outage")
    counts = model.counts
    assert (counts.sent, counts.dropped_queue, counts.dropped_outage) == (0, 1, 1)
    assert (counts.bytes_sent, counts.bytes_lost) == (0, 30)
    assert_conserved(model)


# --- loss


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_independent_loss(share):
    found, counts = sent_through(Settings(loss=Loss(in_good=share)), numbered(N))
    assert abs(counts.lost / N - share) < spread(share)
    assert len(found) == N - counts.lost and set(found) < set(numbered(N))
    assert counts.bytes_lost == 8 * counts.lost
    runs = bursts(found)
    assert abs(sum(runs) / len(runs) - 1 / (1 - share)) < 0.05


def bursts(found):
    """Lengths of the runs of packets lost."""
    there = {int.from_bytes(packet, "big") for packet in found}
    lost = groupby(range(N), key=lambda number: number not in there)
    return [len(list(run)) for is_lost, run in lost if is_lost]


@pytest.mark.parametrize(("mean", "length"), [(0.05, 8), (0.01, 4), (0.3, 2), (0.5, 20)])
def test_bursts_have_their_mean_and_length(mean, length):
    found, counts = sent_through(Settings(bursts=Bursts(mean=mean, length=length)), numbered(N), 3)
    # The share of a two-state chain varies as if each burst were about two independent draws.
    assert abs(counts.lost / N - mean) < spread(mean, N / (2 * length))
    runs = bursts(found)
    deviation = math.sqrt(length * (length - 1) / len(runs))
    assert abs(sum(runs) / len(runs) - length) < 4 * deviation


def test_loss_in_both_states():
    loss = Loss(good_to_bad=0.02, bad_to_good=0.08, in_good=0.01, in_bad=0.6)
    assert loss.share_bad == pytest.approx(0.2)
    assert loss.mean == pytest.approx(0.8 * 0.01 + 0.2 * 0.6)
    _, counts = sent_through(Settings(loss=loss), numbered(N))
    assert abs(counts.lost / N - loss.mean) < spread(loss.mean, N / 10)


def test_a_model_may_start_in_its_bad_state():
    settings = Settings(bursts=Bursts(mean=0.5, length=1000))
    starts = [sent_through(settings, numbered(1), seed)[1].lost for seed in range(1000)]
    assert abs(sum(starts) / 1000 - 0.5) < spread(0.5, 1000)


def test_a_state_that_is_never_left():
    assert Loss(good_to_bad=0, bad_to_good=0, in_bad=1).mean == 0
    assert Loss(good_to_bad=1, bad_to_good=0).mean == 1
    assert Bursts(mean=0.25, length=3).states().mean == pytest.approx(0.25)


# --- damage


@pytest.mark.parametrize(("rate", "count"), [(1e-5, 4000), (1e-3, 2000), (0.1, 500), (0.5, 200)])
def test_bit_errors_have_their_rate(rate, count):
    found, counts = sent_through(Settings(bit_error_rate=rate), [bytes(256)] * count)
    changed = [bits_changed(bytes(256), packet) for packet in found]
    assert abs(sum(changed) / (2048 * count) - rate) < spread(rate, 2048 * count)
    assert counts.corrupted == sum(map(bool, changed)) and len(found) == count
    hit = 1 - (1 - rate) ** 2048
    assert abs(counts.corrupted / count - hit) <= spread(hit, count)


def test_bit_errors_fall_anywhere():
    found, _ = sent_through(Settings(bit_error_rate=0.02), [bytes(4)] * N)
    for bit in range(32):
        share = sum(int.from_bytes(packet, "big") >> bit & 1 for packet in found) / N
        assert abs(share - 0.02) < spread(0.02), bit


def test_truncation_leaves_every_shorter_length():
    packet = bytes(range(16))
    found, counts = sent_through(Settings(truncate=0.5), [packet] * N)
    cut = [len(got) for got in found if len(got) < 16]
    assert all(got == packet[: len(got)] for got in found)
    assert counts.truncated == len(cut) and abs(len(cut) / N - 0.5) < spread(0.5)
    shares = [cut.count(length) / len(cut) for length in range(1, 16)]
    assert max(abs(share - 1 / 15) for share in shares) < spread(1 / 15, len(cut))
    assert counts.bytes_lost == 0 and counts.bytes_sent == sum(map(len, found))


def test_one_byte_cannot_be_cut():
    found, counts = sent_through(Settings(truncate=1), [b"x"])
    assert (found, counts.truncated) == ([b"x"], 0)


# --- duplicates and order


def test_duplicates():
    found, counts = sent_through(Settings(duplicate=0.1), numbered(N))
    assert abs(counts.duplicated / N - 0.1) < spread(0.1)
    assert [packet for packet, _ in groupby(found)] == numbered(N)
    assert len(found) == N + counts.duplicated == counts.sent


def test_reordering():
    settings = Settings(reorder=0.05, reorder_delay=0.0025, delay=1)
    found, counts = sent_through(settings, numbered(N))
    assert abs(counts.reordered / N - 0.05) < spread(0.05)
    assert sorted(found) == numbered(N)
    places = [int.from_bytes(packet, "big") for packet in found]
    back = sum(before > after for before, after in pairwise(places))
    assert 0.9 * counts.reordered < back <= counts.reordered
    # Held back for two and a half steps, a packet lets two others pass.
    assert max(abs(place - number) for place, number in enumerate(places)) <= 4


def test_a_packet_is_held_back_for_its_time():
    model = LinkModel(Settings(reorder=1, reorder_delay=0.5, delay=0.25), 1)
    found = carried(model, [(packet, float(n)) for n, packet in enumerate(numbered(3))])
    assert found == [(n + 0.75, packet) for n, packet in enumerate(numbered(3))]


def test_a_copy_is_held_back_by_itself():
    settings = Settings(duplicate=1, reorder=0.5, reorder_delay=1)
    found, counts = sent_through(settings, numbered(100), step=0.1)
    assert abs(counts.reordered / 200 - 0.5) < spread(0.5, 200)
    assert sorted(found) == sorted(numbered(100) * 2)
    assert found != [packet for packet in numbered(100) for _ in range(2)]


# --- contacts and elevation


def test_outside_a_contact_all_is_lost():
    windows = Windows([(2.0, 4.0)])
    model = LinkModel(Settings(delay=1), 1, in_contact=windows.__contains__)
    found = carried(model, [(packet, float(n)) for n, packet in enumerate(numbered(6))])
    assert found == [(3.0, numbered(6)[2]), (4.0, numbered(6)[3])]
    assert (model.counts.dropped_outage, model.counts.lost) == (4, 0)
    assert_conserved(model)


def test_what_waits_when_a_contact_ends_is_lost():
    windows = Windows([(0.0, 2.5)])
    model = LinkModel(Settings(rate=8000), 1, in_contact=windows.__contains__)
    found = carried(model, [(packet, 0.0) for packet in numbered(4, 1000)])
    assert [time for time, _ in found] == [1.0, 2.0]
    assert (model.counts.dropped_outage, model.counts.bytes_lost) == (2, 2000)


def test_bit_error_rate_of_bpsk():
    # Proakis, Digital Communications: 9.6 dB for 1e-5, 6.8 dB for 1e-3.
    at = {level: SignalToNoise(low=level, zenith=level).bit_error_rate(45) for level in (9.6, 6.8)}
    assert at == pytest.approx({9.6: 1e-5, 6.8: 1e-3}, rel=0.06)
    assert X_BAND.bit_error_rate(5) == X_BAND.bit_error_rate(0) == pytest.approx(2.27e-5, rel=0.01)
    middle = SignalToNoise(low=15.25, zenith=15.25).bit_error_rate(0)
    assert X_BAND.bit_error_rate(47.5) == pytest.approx(middle)
    assert SignalToNoise(low=30, zenith=100).bit_error_rate(90) == 0


def test_bit_errors_follow_the_elevation():
    settings = Settings(signal_to_noise=SignalToNoise(low=4, zenith=30))
    model = LinkModel(settings, 1, elevation=lambda time: 5 if time < 1000 else 90)
    found = carried(model, [(bytes(256), float(n)) for n in range(2000)])
    low = [bits_changed(bytes(256), packet) for time, packet in found if time < 1000]
    rate = settings.signal_to_noise.bit_error_rate(5)
    assert rate == pytest.approx(0.0125, rel=0.01)
    assert abs(sum(low) / (2048 * 1000) - rate) < spread(rate, 2048 * 1000)
    assert model.counts.corrupted == sum(map(bool, low)) == 1000
    assert [packet for time, packet in found if time >= 1000] == [bytes(256)] * 1000


# --- settings and seeds


STORM = Settings(
    rate=1e6, delay=0.01, jitter=0.01, bursts=Bursts(mean=0.05, length=8), bit_error_rate=1e-4,
    duplicate=0.02, reorder=0.02, reorder_delay=0.05, truncate=0.01,
)


def test_the_seed_decides_everything():
    first, again, other = (sent_through(STORM, numbered(2000, 64), seed) for seed in (5, 5, 6))
    assert first == again and first != other
    assert sent_through(STORM, numbered(2000, 64), "5") != first


def test_all_faults_at_once_are_counted_apart():
    _, counts = sent_through(STORM, numbered(N, 64))
    assert min(
        counts.lost, counts.corrupted, counts.truncated, counts.duplicated, counts.reordered
    ) > 0
    assert counts.dropped_queue == counts.dropped_outage == 0


@pytest.mark.parametrize(("kind", "wrong", "saying"), [
    (Settings, {"rate": 0}, "rate: expected number 1..1000000000000 or null, got 0"),
    (Settings, {"queue": 0}, "queue: expected int 1..4294967296, got 0"),
    (Settings, {"delay": -1}, "delay: expected number 0..3600, got -1"),
    (Settings, {"jitter": math.nan}, "jitter: expected number 0..3600, got nan"),
    (Settings, {"bit_error_rate": 0.6}, "bit_error_rate: expected number 0..0.5, got 0.6"),
    (Settings, {"reorder": "0.1"}, "reorder: expected number 0..1, got '0.1'"),
    (Settings, {"reorder": 0.1}, "reorder_delay: must be above 0 where packets are reordered"),
    (Settings, {"loss": Loss(in_good=0.1), "bursts": Bursts(mean=0.1, length=2)},
     "bursts: give loss or bursts, not both"),
    (Settings, {"bit_error_rate": 0.1, "signal_to_noise": X_BAND},
     "signal_to_noise: give bit_error_rate or signal_to_noise, not both"),
    (Settings, {"truncate": 2, "duplicate": 3},
     "duplicate: expected number 0..1, got 3; truncate: expected number 0..1, got 2"),
    (Loss, {"in_bad": 2}, "in_bad: expected number 0..1, got 2"),
    (Bursts, {"mean": 1, "length": 2}, "mean: expected number from 0 below 1, got 1"),
    (Bursts, {"mean": 0.6, "length": 1}, "length: a mean loss of 0.6 needs longer bursts"),
    (SignalToNoise, {"low": 101, "zenith": 1}, "low: expected number -50..100, got 101"),
])
def test_settings_out_of_range(kind, wrong, saying):
    with pytest.raises(Faults) as caught:
        kind(**wrong)
    assert str(caught.value) == saying


def test_noise_by_elevation_needs_an_elevation():
    with pytest.raises(ValueError, match="needs an elevation"):
        LinkModel(Settings(signal_to_noise=X_BAND), 1)
