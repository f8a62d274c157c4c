"""What a collector answers: up to where it has a device's stream, and what it has erased."""

from __future__ import annotations

from pydantic import ValidationError

from edge_agent.fleet.message import MessageError
from edge_agent.mqtt.payloads.timeline import Confirmation


def read_confirmation(payload: bytes) -> Confirmation:
    """Return what a collector confirms; raises ``MessageError`` where it cannot be read."""
    try:
        return Confirmation.model_validate_json(payload)
    except ValidationError as error:
        raise MessageError(f"is no confirmation: {error.errors()[0]['msg']}") from error
