"""A whole mission with a frame that can never be marked: it comes down all the same, sealed."""

from dataclasses import replace

from sim.scenario.mission import GROUND, LINK, ONBOARD
from tests.missions import Mission


def test_what_cannot_be_marked_comes_down_sealed(tmp_path):
    with Mission(tmp_path) as mission:
        mission.start(GROUND, ONBOARD, LINK)
        frame = mission.next_frame(is_private=False)
        data = frame.picture.read_bytes().replace(b"\xff\xc0", b"\xff\xc9", 1)  # arithmetic
        path = tmp_path / "arithmetic.jpg"
        path.write_bytes(data)
        mission.offer_picture(replace(frame, picture=path))
        mission.until(mission.feed.is_idle)
        mission.offer()
        mission.until(mission.is_settled)
        mission.until(lambda: mission.health().get("frames_fallback") == 1)
        assert mission.said(ONBOARD, "frame frame-1 was sealed whole: error 312: ")
        schemes = {product.frame_id: product.scheme for product in mission.products()}
        assert schemes == {"frame-1": "sealed", "frame-2": "reversible"}
        assert mission.faults() == []
        mission.stop()
        assert mission.troubles() == []
