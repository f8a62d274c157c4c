"""A study with every kind of row that an export knows."""

from __future__ import annotations

import json
from pathlib import Path

from edge_agent.core.expression import Emotion, RejectedFrames, RejectReason
from edge_agent.core.readings import Gap, VitalFlag
from edge_agent.core.study import AttributeUse, MarkerKind, Purpose, SessionSetting
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.study.exclusions import leave_out
from edge_agent.store.study.people import agree_to_attributes
from edge_agent.store.study.protocol_runs import SelfReport, insert_reports
from edge_agent.store.study.study import Study
from edge_agent.store.write.timeline import write_gap, write_movements, write_rejected_frames
from edge_agent.vision.models.card import known_cards
from tests.support.own_neutral import calibrate_session
from tests.support.timeline import START_MS, database, instant, movement_row, reading, row, told_by

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
    rows = [row(s, Emotion.ANGER if s < 250 else None) for s in range(0, 500, 10)]
    readings = [reading(s + 0.5, 60 + s / 7) for s in range(0, 500, 10)]
    cuff = '=HYPERLINK("http://x.example","cuff")'
    readings.append(reading(150, 300, VitalKind.SYSTOLIC, cuff, [VitalFlag.OUT_OF_RANGE]))
    made = database(folder, rows, readings)
    study = Study(made)
    for code, start in (("P01", 100), ("P02", 300)):
        study.create_participant(code)
        study.give_consent(code, "v1")
        place = SessionSetting.LABORATORY
        name = f"=1+1 of {code}"
        study.start_session(code, Purpose.RESEARCH, name, at=instant(start), setting=place)
        study.add_marker(MarkerKind.STIMULUS_START, "anger", at=instant(start + 20))
        study.add_marker(MarkerKind.NOTE, "@SUM(1), said Ägypten", at=instant(start + 30))
        study.end_session(at=instant(start + 100))
    leave_out(made, 2, (instant(322).wall_ms, instant(325).wall_ms), reason="=coughed", actor="ada")
    study.withdraw_consent("P02")
    study.create_participant("P03")
    told = {"medication": "=none"}
    agree_to_attributes(made, "P01", AttributeUse.SHARED, actor=None, values=told)
    calibrate_session(made, 1, 2, 18)
    with write_transaction(made) as connection:
        write_gap(connection, Gap("camera", instant(120), instant(130), "stalled"), None)
        dark = RejectedFrames(instant(126), 1, RejectReason.TOO_DARK, 9, primary=True)
        write_rejected_frames(connection, [(dark, None)], 1000, False)
        moved = movement_row(125, smile=0.8124, jaw_open=0.25, yaw=-12.34, look_x=-0.5)
        other = told_by(movement_row(126, smile=0.4), "OpenFace", "look_x")
        write_movements(connection, [(moved, None), (other, None)], 1000, False)
        connection.execute(
            "INSERT INTO protocol_run (session, name, title, sha256, order_row, plan, state, "
            "saved, saved_boot_ms) VALUES (1, 'three films', '=Three', ?, 2, ?, 'finished', 0, 0)",
            ("ab" * 32, PLAN),
        )
        answers = [
            SelfReport(instant(150), "anger", "valence", 2),
            SelfReport(instant(151), "anger", "emotion", "none"),
        ]
        insert_reports(connection, 1, answers)
        for sha256, card in known_cards().items():
            model = json.loads(card)
            connection.execute(
                "INSERT INTO model (kind, name, version, sha256, since) VALUES (?, ?, ?, ?, ?)",
                (model["kind"], model["name"], model["version"], sha256, START_MS),
            )
    return made
