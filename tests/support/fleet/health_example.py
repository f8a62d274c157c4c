"""The health that the description of the topics shows."""

from __future__ import annotations

from typing import Any, cast

from edge_agent.mqtt.health_payload import HealthPayload


def health_example() -> dict[str, Any]:
    """Return it as the JSON object that a device sends."""
    extra = HealthPayload.model_config["json_schema_extra"]
    assert isinstance(extra, dict)
    return dict(cast("list[dict[str, Any]]", extra["examples"])[0])
