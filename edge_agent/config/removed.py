"""Keys of the configuration that are gone: refused for one release, with what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

_POLAR = (
    "Leave it out: heart rate and intervals between beats come from any strap. Polar's own apps "
    "record its ECG and acceleration."
)
REMOVED: Mapping[str, str] = {
    "vitals.bluetooth.devices.ecg": _POLAR,
    "vitals.bluetooth.devices.movement": _POLAR,
    "updates": (
        "Leave the section out: nothing looks for releases by itself. Get the archive of a release "
        "and its .sig, then: sudo affect-edge update FILE"
    ),
    "fleet.profiles": (
        "Set keys with `affect-edge config set`, on many appliances with the Ansible playbook of "
        "docs/fleet.md."
    ),
}
"""Sentence for each key (``section.key``) or whole section (``section``) that is gone."""


def why_removed(name: str, removed: Mapping[str, str] = REMOVED) -> str | None:
    """Return what to do instead of a key that is gone; ``None`` for a key that never was.

    Args:
        name: the key with its section, such as ``updates.url``; numbers in a list are passed over.
        removed: sentence by key or section.
    """
    parts = [part for part in name.split(".") if not part.isdecimal()]
    for length in range(len(parts), 0, -1):
        sentence = removed.get(".".join(parts[:length]))
        if sentence is not None:
            return sentence
    return None
