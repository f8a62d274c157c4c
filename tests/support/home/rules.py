"""The access rules that docs/home-assistant.md shows, for an appliance of another name."""

from __future__ import annotations

from tests.docs.pages import blocks_of

APPLIANCE = "affect-edge"
HOME_ASSISTANT = "homeassistant"
"""The accounts of the page."""


def documented_rules(device: str) -> str:
    """Return the text for mosquitto's access file, where the appliance is called ``device``."""
    (block,) = [one for one in blocks_of("docs/home-assistant.md") if one.text.startswith("user ")]
    text = block.text.replace("affect-edge/affect-edge/", f"affect-edge/{device}/")
    return text.replace("affect-edge-affect-edge", f"affect-edge-{device}")
