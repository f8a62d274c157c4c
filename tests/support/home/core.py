"""Runs inside Home Assistant's own Python: its core with the MQTT integration, asked by lines.

``python core.py FOLDER BROKER-PORT HTTP-PORT USER PASSWORD``; each line on the standard input is a
JSON list, and one line of JSON is the answer:

    ["states"]                          → {entity: {"state": …, "attributes": {…}}}
    ["changes"]                         → [[UTC ms, entity, state, attributes], …] since last asked
    ["devices"]                         → names of the devices of the MQTT integration
    ["call", "button", "press", ENTITY] → null, after the action
    ["set", ENTITY, STATE]              → null, after the state that an integration would set

Automations stand as JSON in ``automations.json`` of the folder, where it exists.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, core, loader  # type: ignore[import-not-found]
from homeassistant.helpers import device_registry  # type: ignore[import-not-found]

ENTRY = "0123456789abcdef0123456789abcdef"
Changes = list[tuple[float, str, str, dict[str, Any]]]


def write_entry(folder: Path, broker: dict[str, Any]) -> None:
    """Store the MQTT integration as a person would have set it up."""
    entry: dict[str, Any] = {
        "entry_id": ENTRY,
        "version": 1,
        "minor_version": 2,
        "domain": "mqtt",
        "title": "broker",
        "data": broker,
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "unique_id": None,
        "disabled_by": None,
        "created_at": "2025-01-01T00:00:00+00:00",
        "modified_at": "2025-01-01T00:00:00+00:00",
        "discovery_keys": {},
    }
    (folder / "configuration.yaml").write_text("# all is in .storage\n", encoding="ascii")
    storage = folder / ".storage"
    storage.mkdir(parents=True, exist_ok=True)
    (storage / "core.config_entries").write_text(
        json.dumps(
            {
                "version": 1,
                "minor_version": 4,
                "key": "core.config_entries",
                "data": {"entries": [entry]},
            }
        ),
        encoding="utf-8",
    )


def follow(hass: Any) -> Changes:
    """Return a list that takes in every change of a state or of its attributes from now on."""
    changes: Changes = []

    @core.callback  # type: ignore[untyped-decorator]
    def take(event: Any) -> None:
        state = event.data["new_state"]
        if state is not None:
            at_ms = state.last_updated.timestamp() * 1000
            changes.append((at_ms, state.entity_id, state.state, dict(state.attributes)))

    hass.bus.async_listen("state_changed", take)
    return changes


async def answer(hass: Any, changes: Changes, question: list[str]) -> Any:
    """Return what a question asks for."""
    if question[0] == "changes":
        taken = changes.copy()
        changes.clear()
        return taken
    if question[0] == "states":
        return {
            state.entity_id: {"state": state.state, "attributes": dict(state.attributes)}
            for state in hass.states.async_all()
        }
    if question[0] == "devices":
        registry = device_registry.async_get(hass)
        return [d.name for d in device_registry.async_entries_for_config_entry(registry, ENTRY)]
    if question[0] == "set":
        hass.states.async_set(*question[1:])
        return None
    _, domain, service, entity = question
    await hass.services.async_call(domain, service, {"entity_id": entity}, blocking=True)
    return None


async def main(folder: Path, broker: dict[str, Any], http_port: int) -> None:
    """Start the core, and answer until the standard input ends."""
    logging.basicConfig(level=logging.WARNING)
    write_entry(folder, broker)
    hass = core.HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    http = {"server_host": "127.0.0.1", "server_port": http_port}
    config: dict[str, Any] = {"http": http}
    automations = folder / "automations.json"
    if automations.exists():
        config["automation"] = json.loads(automations.read_text(encoding="utf-8"))
    await bootstrap.async_from_config_dict(config, hass)
    await hass.async_start()
    changes = follow(hass)
    print(json.dumps("started"), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await answer(hass, changes, json.loads(line)), default=str), flush=True)
    await hass.async_stop()


FOLDER, BROKER_PORT, HTTP_PORT, USER, PASSWORD = sys.argv[1:]
BROKER = {"broker": "127.0.0.1", "port": int(BROKER_PORT), "username": USER, "password": PASSWORD}
asyncio.run(main(Path(FOLDER), BROKER, int(HTTP_PORT)))
