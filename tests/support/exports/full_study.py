"""A study with every kind of row that an export knows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import AttributeUse
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.study.people import agree_to_attributes
from edge_agent.timeline.study.sessions import Study
from edge_agent.vision.models.card import known_cards
from tests.support.own_neutral import calibrate_session
from tests.support.session_fields import stored_in_session
from tests.support.timeline import movement_row, reading, row, session_row, timeline

PLAN = json.dumps(
    {
        "screens": [
            {"kind": "stimulus", "condition": "happiness", "opens": True},
            {"kind": "pressure", "condition": "happiness", "opens": False},
            {"kind": "rest", "condition": None, "opens": False},
            {"kind": "stimulus", "condition": "anger", "opens": True},
        ],
        "texts": {},
    }
)


def full_study(folder: Path) -> Path:
    """Return a database of two participants with a session each, from 100 to 200 s and from 300 to
    400 s, every kind of row from 0 to 500 s, and texts that would like to be formulas; a third
    person has no session.
    """
    rows = [
        row(s, Emotion.ANGER if s < 250 else None, attribution="seat") for s in range(0, 500, 10)
    ]
    rows.append(row(137, Emotion.FEAR, primary=False, attribution="unknown"))
    readings = [reading(s + 0.5, 60 + s / 7) for s in range(0, 500, 10)]
    cuff = '=HYPERLINK("http://x.example","cuff")'
    high = reading(150, 300, VitalKind.SYSTOLIC, cuff, [VitalFlag.OUT_OF_RANGE])
    readings.append(replace(high, error=2.5))
    run = {"name": "three films", "title": "=Three", "order_row": 2, "state": "finished"}
    models = [(sha256, json.loads(card)) for sha256, card in known_cards().items()]
    made = timeline(
        folder,
        expression=rows,
        vital=readings,
        participant=[{"code": "P03"}],
        session=[
            session_row(start, start + 100, (start + 20, None, "anger"), participant=code)
            | {**stored_in_session(), "name": f"=1+1 of {code}"}
            for code, start in (("P01", 100), ("P02", 300))
        ],
        marker=[
            {"session": number, "at": at, "kind": "note", "label": "@SUM(1), said Ägypten"}
            for number, at in ((1, 130), (2, 330))
        ],
        exclusion=[{"session": 2, "from_ms": 22_000, "to_ms": 25_000, "reason": "=coughed"}],
        gap=[{"started": 120, "ended": 130}],
        unfit=[{"at": 126, "reason": "too_dark", "frames": 9}],
        movement=[
            movement_row(125, smile=0.8124, jaw_open=0.25, yaw=-12.34, look_x=-0.5),
            movement_row(126, source="OpenFace", unread="look_x", smile=0.4),
        ],
        protocol_run=[{**run, "session": 1, "plan": PLAN}],
        standing_session=[{"participant": "P01", "text_version": "=1"}],
        self_report=[
            {"session": 1, "at": 150, "value": 2},
            {"session": 1, "at": 151, "scale": "emotion", "value": "none"},
        ],
        trial=[
            {"session": 1, "at": 152, "turn": 1, "step": 4, "kind": "likert", "stood_ms": 2_500}
            | {"question": "liking", "wording": "=How much did you like it?", "value": 4}
        ],
        model=[
            {"sha256": sha256, "since": 0, **{k: card[k] for k in ("kind", "name", "version")}}
            for sha256, card in models
        ],
    )
    Study(made).withdraw_consent("P02")
    told = {"medication": "=none"}
    agree_to_attributes(made, "P01", AttributeUse.SHARED, actor=None, values=told)
    calibrate_session(made, 1, 2, 18)
    return made
