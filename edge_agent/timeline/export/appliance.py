"""The appliance in an export: settings without secrets, and the cards of its models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.config.settings import Settings
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.matching import DEFAULT_SHARE, DEFAULT_WINDOW_S, Matching

# Only what decides how the rows came about, and whose study it is. Everything else stays at home:
# addresses, accounts, passwords, paths (which hold the names of people), whatever a later version
# adds.
_TOLD = {
    "device": {"name"},
    "camera": {"source", "width", "height", "fps", "loop", "rotate"},
    "capture": {"mode"},
    "record": {"interval", "keep_days", "budget_mb"},
    "summary": {"window"},
    "deposit": {"title", "authors", "institution", "licence"},
    "vision": {
        "threads",
        "face_score",
        "min_face",
        "max_faces",
        "uncertain_below",
        "smoothing_seconds",
        "hysteresis",
        "dwell_seconds",
        "confirm_frames",
        "memory_seconds",
        "gate",
    },
}


_NAMED = re.compile(r"(?P<name>[^<>]+)<(?P<address>https?://[^<>\s]+)>")


@dataclass(frozen=True, slots=True)
class Appliance:
    """The appliance as an export describes it.

    Attributes:
        device: its name.
        settings: as ``public_settings`` gives them; empty where nobody knows them.
        cards: SHA-256 of a model's file → text of its card.
        question: what was asked on the Analysis page, or the question that it asks by itself; empty
            where nobody knows it.
        tables: what the analysis of that question adds, the text of a file by its name; its
            ``flow.csv`` follows people and readings from consent to the tests.
    """

    device: str = "affect-edge"
    settings: Mapping[str, Any] = field(default_factory=dict)
    cards: Mapping[str, str] = field(default_factory=dict)
    question: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)

    @property
    def matching(self) -> Matching:
        """How the question matches readings to the emotion observed before them."""
        question = self.question
        lags: dict[Measure, float] = {
            kind: question.get(f"lag_{kind.spec.option}", kind.spec.lag_s) for kind in VitalKind
        }
        window = question.get("window", DEFAULT_WINDOW_S)
        return Matching(window, lags, question.get("share", DEFAULT_SHARE))


@dataclass(frozen=True, slots=True)
class Named:
    """A person or an institution: the name, and the address that identifies them (ORCID, ROR);
    empty: none is stated.
    """

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class DepositFacts:
    """The section ``[deposit]`` of the settings; empty where nobody stated it."""

    title: str = ""
    authors: tuple[Named, ...] = ()
    institution: Named | None = None
    licence: str = ""

    @classmethod
    def of(cls, appliance: Appliance) -> DepositFacts:
        """Return what the settings of an appliance state."""
        stated = appliance.settings.get("deposit", {})
        institution = stated.get("institution", "")
        return cls(
            title=stated.get("title", ""),
            authors=tuple(map(_name_in, stated.get("authors", ()))),
            institution=_name_in(institution) if institution else None,
            licence=stated.get("licence", ""),
        )


def _name_in(text: str) -> Named:
    parts = _NAMED.fullmatch(text)
    return Named(text) if parts is None else Named(parts["name"].strip(), parts["address"])


def public_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide how rows are made.

    Secrets, accounts, addresses and paths are not among them.
    """
    told: dict[str, Any] = settings.model_dump(mode="json", include=_TOLD)
    models = {
        "expression_model": settings.vision.expression_model,
        "detector_model": settings.vision.detector_model,
    }
    told["vision"] |= {name: Path(model).stem for name, model in models.items()}
    vitals = settings.vitals
    told["vitals"] = {
        "simulated": vitals.simulated.enabled,
        "bluetooth": [sensor.kind.value for sensor in vitals.bluetooth.devices],
        "mqtt": vitals.mqtt.enabled,
        "replay": vitals.replay.file is not None,
    }
    return told
