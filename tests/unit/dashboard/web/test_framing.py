"""What the script of Live says of a face's size is what the quality filter asks for."""

from __future__ import annotations

from dashboard.web.delivery import STATIC
from edge_agent.core.expression import RejectReason
from edge_agent.vision.quality import ENOUGH_PIXELS, LEAST_PIXELS


def test_framing_asks_for_the_pixels_that_the_quality_filter_asks_for() -> None:
    script = (STATIC / "js" / "framing.js").read_text(encoding="utf-8")
    assert f"const LEAST_PX = {LEAST_PIXELS:g};" in script
    assert f"const WANTED_PX = {ENOUGH_PIXELS:g};" in script
    order = script.split("const ORDER = [")[1].split("]")[0].replace('"', "").split(", ")
    assert order == [reason.value for reason in RejectReason]
