"""A whole mission whose spool has reached its quota while the link is down, by either policy."""

from tests.missions import GROUND, LINK, ONBOARD, SMALL, Mission, refusals

PRODUCTS = 3
QUOTA = f"{SMALL}onboard: {{spool: {{max_items: {PRODUCTS}, when_full: refuse}}}}\n"
RULES = [{"scheme": "sealed", "sensitive": True, "priority": 10}]


def test_a_quota_is_reached(tmp_path):
    with Mission(tmp_path, QUOTA) as mission:
        with mission.edited(ONBOARD) as options:
            options["rules"] = RULES
        mission.start(GROUND, ONBOARD)
        mission.offer(PRODUCTS, is_private=False)
        offer_in_vain(mission)
        assert mission.health()["spool_items"] == PRODUCTS
        mission.start(LINK)
        mission.until(mission.feed.is_idle)
        mission.until(mission.is_settled)
        assert mission.faults() == []

        mission.stop(LINK, ONBOARD)
        with mission.edited(ONBOARD) as options:
            options["spool"]["when_full"] = "drop-lowest"
        mission.start(ONBOARD)
        mission.offer(2, is_private=False)
        dropped = mission.frames[-2:]
        mission.offer(PRODUCTS, is_sensitive=True)
        mission.until(lambda: mission.health()["spool_items"] == PRODUCTS)
        offer_in_vain(mission)  # less important than all that is there
        mission.start(LINK)
        mission.until(mission.feed.is_idle)
        promised = [frame for frame in mission.frames if frame not in dropped]
        mission.frames = promised
        mission.until(mission.is_settled)
        assert mission.recovered() == {frame.name for frame in promised}
        assert mission.faults() == [] == mission.troubles()
        for frame in dropped:
            line = f"of frame {frame.name} dropped: the spool is full"
            mission.until(lambda line=line: mission.said(GROUND, line))
        mission.stop()


def offer_in_vain(mission):
    mission.offer_picture(mission.next_frame(is_private=False))
    mission.until(lambda: refusals(mission) >= 2)
    assert not mission.feed.is_idle()
