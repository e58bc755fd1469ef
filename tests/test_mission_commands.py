"""Telecommands of a real mission: a scheme that outlives restarts, and what a purge tells."""

from __future__ import annotations

from sim.scenario.mission import GROUND, LINK, ONBOARD
from tests.missions import Mission

RULE = {"name": "survey", "scheme": "reversible", "sensitive": False}


def scheme(mission, name):
    """Of the product that came of a frame, once it was recovered."""
    mission.until(lambda: name in mission.recovered())
    return next(product.scheme for product in mission.products() if product.frame_id == name)


def restart(mission, rule):
    mission.stop(ONBOARD)
    with mission.edited(ONBOARD) as options:
        options["rules"] = [rule]
    mission.start(ONBOARD)


def test_a_commanded_scheme_and_a_purge(tmp_path):
    with Mission(tmp_path) as mission:
        with mission.edited(ONBOARD) as options:
            options["rules"] = [RULE]
        mission.start(GROUND, ONBOARD, LINK)
        refused = mission.command("set-scheme", rule="none", scheme="sealed")
        assert (refused.accepted, refused.detail) == (False, "refused, 404: no such rule")
        assert mission.command("set-scheme", rule="survey", scheme="sealed").accepted
        restart(mission, RULE)
        mission.offer(is_private=False)
        assert scheme(mission, "frame-1") == "sealed"
        assert not mission.said(ONBOARD, "holds no longer")
        # Whoever changes the rule itself has the last word.
        restart(mission, RULE | {"priority": 9})
        assert mission.said(ONBOARD, "rule survey: sealed, which was commanded, holds no longer")
        assert mission.command("hold").accepted
        mission.offer(2, is_private=False)
        assert mission.command("purge", priority=9).accepted
        line = "purged deliveries of priority number 9 or higher: 2"
        assert mission.said(ONBOARD, line)
        mission.until(lambda: mission.said(GROUND, f"satellite: {line}"))
        assert mission.command("set-scheme", rule="1", scheme="reversible").accepted
        assert mission.command("resume").accepted
        mission.offer(is_private=False)
        assert scheme(mission, "frame-4") == "reversible"
        assert mission.recovered() == {"frame-1", "frame-4"}
        mission.stop()
