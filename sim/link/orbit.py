"""Passes of a satellite over a ground station: a circular orbit, a spherical Earth that rotates.

Two-body motion without drag, oblateness or refraction: good for when contacts come and how long
they last in a simulation, not for pointing an antenna. At time 0 the Greenwich meridian lies on
the axis that the right ascension is counted from. Constants: WGS 84.
"""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta

from sim.link.settings import Checked
from sim.link.windows import Window

EARTH_RADIUS = 6378.137
"""km, at the equator."""
GRAVITATION = 398_600.4418
"""Of the Earth, km^3/s^2."""
EARTH_ROTATION = 7.292115e-5
"""rad/s."""
_MAX_STEPS = 1_000_000
_HALVINGS = 40

Vector = tuple[float, float, float]
Angle = Annotated[float, Meta(ge=-360, le=360)]


class Orbit(Checked, frozen=True, kw_only=True):
    """A circular orbit: km above the equator's radius, and degrees."""

    altitude: Annotated[float, Meta(ge=100, le=100_000)]
    inclination: Annotated[float, Meta(ge=0, le=180)]
    ascending_node: Angle = 0.0
    """Right ascension."""
    phase: Angle = 0.0
    """Angle from the ascending node at time 0."""

    @property
    def radius(self) -> float:
        """From the Earth's centre, km."""
        return EARTH_RADIUS + self.altitude

    @property
    def mean_motion(self) -> float:
        """rad/s."""
        return math.sqrt(GRAVITATION / self.radius**3)

    def position(self, time: float) -> Vector:
        """Inertial, km."""
        along = math.radians(self.phase) + self.mean_motion * time
        node, tilt = math.radians(self.ascending_node), math.radians(self.inclination)
        x, y = math.cos(along), math.sin(along) * math.cos(tilt)
        return (
            self.radius * (x * math.cos(node) - y * math.sin(node)),
            self.radius * (x * math.sin(node) + y * math.cos(node)),
            self.radius * math.sin(along) * math.sin(tilt),
        )


class Station(Checked, frozen=True, kw_only=True):
    """A ground station at sea level: degrees, north and east positive."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Angle
    min_elevation: Annotated[float, Meta(ge=0, lt=90)] = 5.0
    """Contacts lie above it."""

    def zenith(self, time: float) -> Vector:
        """Inertial unit vector straight up."""
        latitude = math.radians(self.latitude)
        east = math.radians(self.longitude) + EARTH_ROTATION * time
        flat = math.cos(latitude)
        return flat * math.cos(east), flat * math.sin(east), math.sin(latitude)


class Passes:
    """One satellite as one station sees it; times in seconds from when the orbit starts."""

    def __init__(self, orbit: Orbit, station: Station) -> None:
        self._orbit = orbit
        self._station = station

    def elevation(self, time: float) -> float:
        """Degrees above the horizon, -90 to 90."""
        up, distance = self._seen(time)
        return math.degrees(math.asin(min(max(up / distance, -1.0), 1.0)))

    def slant_range(self, time: float) -> float:
        """From station to satellite, km."""
        return self._seen(time)[1]

    def in_contact(self, time: float) -> bool:
        """Whether the satellite is at or above the station's least elevation."""
        return self.elevation(time) >= self._station.min_elevation

    def windows(self, start: float, end: float, step: float = 30.0) -> list[Window]:
        """The contacts between two times; one shorter than `step` may be missed.

        Edges are exact to a millionth of a second or so, contacts cut off at `start` and `end`.
        Raises ValueError for a step that is not positive and for more than a million steps.
        """
        if step <= 0 or (end - start) / step > _MAX_STEPS:
            raise ValueError(f"a step of {step:g} s for {end - start:g} s")
        found: list[Window] = []
        time, rise = start, start if self.in_contact(start) else None
        while time < end:
            following = min(time + step, end)
            if self.in_contact(following) is (rise is None):
                edge = self._edge(time, following)
                if rise is None:
                    rise = edge
                else:
                    found.append(Window(rise, edge))
                    rise = None
            time = following
        return found if rise is None or rise >= end else [*found, Window(rise, end)]

    def _edge(self, before: float, after: float) -> float:
        """When a contact starts or ends between two times of which it holds one."""
        state = self.in_contact(before)
        for _ in range(_HALVINGS):
            middle = (before + after) / 2
            if self.in_contact(middle) is state:
                before = middle
            else:
                after = middle
        return after

    def _seen(self, time: float) -> tuple[float, float]:
        """The satellite as the station sees it: height above its horizon, distance, km."""
        zenith = self._station.zenith(time)
        x, y, z = (
            there - EARTH_RADIUS * here
            for there, here in zip(self._orbit.position(time), zenith, strict=True)
        )
        up = x * zenith[0] + y * zenith[1] + z * zenith[2]
        return up, math.sqrt(x * x + y * y + z * z)
