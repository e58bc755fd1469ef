"""Orbits, passes and windows, against the figures of circular-orbit geometry."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.link.orbit import EARTH_RADIUS, EARTH_ROTATION, Orbit, Passes, Station
from sim.link.windows import Windows

DAY = 86_400
# At a pole the Earth's rotation moves nothing: every pass of a polar orbit is overhead.
OVERHEAD = Orbit(altitude=550, inclination=90)


def polar(min_elevation):
    return Passes(OVERHEAD, Station(latitude=90, longitude=0, min_elevation=min_elevation))


@pytest.mark.parametrize(("elevation", "kilometres"), [(5, 2206), (10, 1816), (30, 993)])
def test_slant_range_where_a_pass_begins(elevation, kilometres):
    passes = polar(elevation)
    ((rise, end),) = passes.windows(0, 5000)
    for edge in (rise, end):
        assert passes.elevation(edge) == pytest.approx(elevation, abs=1e-6)
        assert round(passes.slant_range(edge)) == kilometres


@pytest.mark.parametrize(("elevation", "minutes"), [(5, 9.827), (10, 7.948)])
def test_length_of_an_overhead_pass(elevation, minutes):
    passes = polar(elevation)
    ((rise, end),) = passes.windows(0, 5000)
    assert (end - rise) / 60 == pytest.approx(minutes, abs=1e-3)
    assert passes.elevation((rise + end) / 2) == pytest.approx(90, abs=1e-4)
    assert passes.slant_range((rise + end) / 2) == pytest.approx(550)


def test_one_way_delay_stays_below_7_4_ms():
    passes = polar(5)
    ((rise, _),) = passes.windows(0, 5000)
    assert 7.35e-3 < passes.slant_range(rise) / 299_792.458 < 7.4e-3


def test_period():
    assert 2 * math.pi / OVERHEAD.mean_motion == pytest.approx(95.65 * 60, rel=1e-4)
    passes = polar(5)
    rises = [rise for rise, _ in passes.windows(0, 3 * 5740)]
    period = 2 * math.pi / OVERHEAD.mean_motion
    assert [b - a for a, b in pairwise(rises)] == pytest.approx([period] * 2, abs=1e-3)


def test_the_earth_turns_below_an_equatorial_orbit():
    orbit = Orbit(altitude=550, inclination=0)
    passes = Passes(orbit, Station(latitude=0, longitude=0))
    assert passes.elevation(0) == pytest.approx(90)
    synodic = 2 * math.pi / (orbit.mean_motion - EARTH_ROTATION)
    assert passes.elevation(synodic) == pytest.approx(90, abs=1e-4)
    assert passes.elevation(synodic / 2) == pytest.approx(-90, abs=1e-4)
    backwards = Passes(Orbit(altitude=550, inclination=180), Station(latitude=0, longitude=0))
    again = 2 * math.pi / (orbit.mean_motion + EARTH_ROTATION)
    assert backwards.elevation(again) == pytest.approx(90, abs=1e-4)


@pytest.mark.parametrize(("node", "phase", "latitude", "longitude"), [
    (0, 0, 0, 0), (30, 0, 0, 30), (30, 90, 51.6, 120), (-100, 270, -51.6, 170), (0, 180, 0, 180),
])
def test_where_the_satellite_stands_at_time_0(node, phase, latitude, longitude):
    orbit = Orbit(altitude=420, inclination=51.6, ascending_node=node, phase=phase)
    passes = Passes(orbit, Station(latitude=latitude, longitude=longitude))
    assert passes.elevation(0) == pytest.approx(90, abs=1e-4)
    assert passes.slant_range(0) == pytest.approx(420)


@given(
    st.floats(200, 2000), st.floats(0, 180), st.floats(-180, 180), st.floats(-180, 180),
    st.floats(-90, 90), st.floats(-180, 180), st.floats(0, DAY),
)
def test_elevation_and_range_belong_together(
    altitude, inclination, node, phase, latitude, longitude, time
):
    orbit = Orbit(altitude=altitude, inclination=inclination, ascending_node=node, phase=phase)
    passes = Passes(orbit, Station(latitude=latitude, longitude=longitude))
    elevation, distance = math.radians(passes.elevation(time)), passes.slant_range(time)
    # The triangle of Earth's centre, station and satellite.
    law = EARTH_RADIUS**2 + distance**2 + 2 * EARTH_RADIUS * distance * math.sin(elevation)
    assert math.sqrt(law) == pytest.approx(EARTH_RADIUS + altitude)
    assert math.dist(orbit.position(time), (0, 0, 0)) == pytest.approx(EARTH_RADIUS + altitude)


def test_windows_are_where_the_satellite_is_in_contact():
    orbit = Orbit(altitude=550, inclination=97.6, ascending_node=10)
    passes = Passes(orbit, Station(latitude=68, longitude=21))
    windows = passes.windows(0, DAY)
    assert len(windows) == 10 and windows == sorted(windows)
    inside = {time for time in range(DAY) if any(a <= time < b for a, b in windows)}
    assert inside == {time for time in range(DAY) if passes.in_contact(time)}
    assert max(end - start for start, end in windows) < 9.83 * 60


def test_windows_are_cut_at_both_ends():
    passes = polar(5)
    ((rise, end),) = passes.windows(0, 5000)
    middle = (rise + end) / 2
    assert passes.windows(0, middle) == [(pytest.approx(rise), middle)]
    assert passes.windows(middle, 5000) == [(middle, pytest.approx(end))]
    assert passes.windows(middle, middle + 1) == [(middle, middle + 1)]
    assert passes.windows(middle, middle) == []
    assert passes.windows(0, rise - 1) == []


def test_a_step_has_its_limits():
    with pytest.raises(ValueError, match="a step of 0 s"):
        polar(5).windows(0, 100, 0)
    with pytest.raises(ValueError, match="a step of 1e-06 s"):
        polar(5).windows(0, 100, 1e-6)


@pytest.mark.parametrize(("kind", "wrong", "saying"), [
    (Orbit, {"altitude": 50, "inclination": 0}, "altitude: "),
    (Orbit, {"altitude": 550, "inclination": 181}, "inclination: "),
    (Station, {"latitude": 91, "longitude": 0}, "latitude: "),
    (Station, {"latitude": 0, "longitude": 0, "min_elevation": 90}, "min_elevation: "),
])
def test_ranges(kind, wrong, saying):
    with pytest.raises(ValueError, match=saying):
        kind(**wrong)


def test_windows():
    windows = Windows([(5, 6), (0, 1), (1, 2), (5.5, 7), (5.6, 5.7)])
    assert windows.joined == [(0, 2), (5, 7)]
    assert [time in windows for time in (-1, 0, 1, 1.9, 2, 4.9, 5, 6.9, 7, 8)] == [
        False, True, True, True, False, False, True, True, False, False
    ]
    assert 0.0 not in Windows([])


@pytest.mark.parametrize("window", [(1, 1), (2, 1), (0, math.nan), (math.nan, 1)])
def test_a_window_holds_time(window):
    with pytest.raises(ValueError, match="holds no time"):
        Windows([window])
