"""Instruments of a session, as a methods section states them: sensors, sites, rates. No I/O.

Guidelines ask for electrodes, site, gel and sampling rate of skin conductance (Boucsein et al.
2012, Psychophysiology 49:1017-1034) and for sensor, rate and detection of the beats (Quigley et al.
2024, Psychophysiology 61:e14604). No program knows them; somebody states them of a session, in one
text::

    skin_sensor: Shimmer3 GSR+; skin_site: left hand, middle phalanges; heart_sensor: Polar H10

Each name belongs to one sensor, and what is said of it names that sensor. What has no name of the
register stays as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from edge_agent.core.texts import N_

_SKIN = "skin conductance"
_HEART = N_("the heart")
_SENSOR = "sensor"
_PART = re.compile(r"\s*(?P<name>[a-z_]+)\s*:\s*(?P<value>.+?)\s*", re.DOTALL)
LONGEST = 600
"""Characters of the text of a session."""


INSTRUMENTS: Mapping[str, tuple[str, str]] = {
    "skin_sensor": (_SKIN, _SENSOR),
    "skin_electrodes": (_SKIN, N_("electrodes: material and size")),
    "skin_site": (_SKIN, N_("site of the electrodes")),
    "skin_gel": (_SKIN, N_("gel or paste")),
    "skin_rate": (_SKIN, N_("sampling rate of the sensor")),
    "heart_sensor": (_HEART, _SENSOR),
    "heart_site": (_HEART, N_("site of the sensor")),
    "heart_rate": (_HEART, N_("sampling rate of the sensor")),
    "heart_detector": (_HEART, N_("what finds the beats, and its settings")),
}
"""The register: name in a text, in exports and in a protocol → what the sensor measures, and what
of it is stated, as a phrase."""
NAMES = tuple(INSTRUMENTS)
_OTHER = "other"


class InstrumentName(StrEnum):
    """The names in the text of a session; what has none of them is ``other``."""

    SKIN_SENSOR = "skin_sensor"
    SKIN_ELECTRODES = "skin_electrodes"
    SKIN_SITE = "skin_site"
    SKIN_GEL = "skin_gel"
    SKIN_RATE = "skin_rate"
    HEART_SENSOR = "heart_sensor"
    HEART_SITE = "heart_site"
    HEART_RATE = "heart_rate"
    HEART_DETECTOR = "heart_detector"
    OTHER = "other"


def read_instruments(text: str) -> dict[str, str]:
    """Return what a text states, by the names of the register in its order; the rest as ``other``.

    >>> read_instruments("heart_sensor: Polar H10; skin_gel: 0.5 % NaCl; dry room")
    {'skin_gel': '0.5 % NaCl', 'heart_sensor': 'Polar H10', 'other': 'dry room'}
    """
    stated: dict[str, str] = {}
    others = []
    for part in filter(None, map(str.strip, text.split(";"))):
        match = _PART.fullmatch(part)
        if match is not None and match["name"] in NAMES and match["name"] not in stated:
            stated[match["name"]] = match["value"]
        else:
            others.append(part)
    ordered = {name: stated[name] for name in NAMES if name in stated}
    return ordered | ({_OTHER: "; ".join(others)} if others else {})


def instruments_text(stated: Mapping[str, str]) -> str:
    """Return what is stated as one text, as ``read_instruments`` reads it.

    >>> instruments_text({"heart_sensor": "Polar H10", "other": "dry room"})
    'heart_sensor: Polar H10; dry room'
    """
    named = [f"{name}: {stated[name]}" for name in NAMES if stated.get(name)]
    return "; ".join([*named, *filter(None, [stated.get(_OTHER, "")])])


def method_of(text: str) -> Iterator[str]:
    """Yield a sentence for each sensor that a text says something of, which names the sensor.

    >>> list(method_of("skin_sensor: Shimmer3; skin_gel: 0.5 % NaCl"))
    ['Skin conductance by Shimmer3: gel or paste 0.5 % NaCl.']
    """
    stated = read_instruments(text)
    for of in dict.fromkeys(of for of, _ in INSTRUMENTS.values()):
        own = {name: about for name, (one, about) in INSTRUMENTS.items() if one == of}
        sensor = next((stated.get(name) for name, about in own.items() if about == _SENSOR), None)
        facts = [
            f"{about} {stated[name]}"
            for name, about in own.items()
            if name in stated and about != _SENSOR
        ]
        if sensor or facts:
            by = sensor or "a sensor that is not stated"
            yield f"{of[0].upper()}{of[1:]} by {by}{': ' if facts else ''}{'; '.join(facts)}."
    if _OTHER in stated:
        yield f"Also stated: {stated[_OTHER]}."
