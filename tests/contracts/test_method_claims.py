"""Each sentence of the method of a deposit is missing where it is false."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.electrocardiogram import ECG_ERROR_S
from edge_agent.core.study import ENTERED, MADE_UP
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.bids_physioevents import SKIN_RESPONSES
from edge_agent.timeline.export.deposit_facts import method_text, read_facts
from edge_agent.timeline.export.rows import Choice
from edge_agent.timeline.export.source import ExportSource
from tests.support.timeline import Row, session_row, timeline

RESPONSES = "session,began_ms\n1,1000\n"
MODEL = {"kind": "expression", "name": "net", "version": "2", "sha256": "ab" * 32}
CODE = "P01"


def readings(source: str = "strap", kind: str = "heart_rate", **more: Any) -> list[Row]:
    about = {"kind": kind, "source": source, "value": 1.0, **more}
    return [{"at": 5.0 + at, **about} for at in range(9)]


def imported(rows: list[Row]) -> list[Row]:
    return [{**row, "import": 1} for row in rows]


def frozen(at_s: float) -> Row:
    return {"at": at_s, "document": "{}", "sha256": "cd" * 32}


BEATS = [
    *readings("ble:h10", "rr_interval", error=ECG_ERROR_S),
    *readings("ble:oh1", "rr_interval", error=0.012),
    *readings("ble:h7", "rr_interval"),
]
WHOLE: Mapping[str, list[Row]] = {
    "session": [session_row(0, 60, instruments="skin_sensor: Shimmer3")],
    "vital": [*readings(), *BEATS],
    "model": [{**MODEL, "since": 0.0}],
    "expression": [{"at": at} for at in (10.0, 11.0)],
    "preregistration": [frozen(-60.0)],
}
"""A study in which each sentence is true."""
CLAIMS: Mapping[str, Mapping[str, Mapping[str, list[Row]]]] = {
    "This deposit was made by Affect Edge .* on the device lab": {},
    "It holds 1 participant in 1 session: 1 held with Affect Edge": {
        "1 imported from files": {"session": [session_row(0, 60, origin="import: x.zip")]},
        "1 entered after it took place": {"session": [session_row(0, 60, origin=ENTERED)]},
        "1 simulated": {"session": [session_row(0, 60, simulated=1)]},
        "1 imported from a table without times": {
            "session": [session_row(0, 60, origin=f"import: x.csv ({MADE_UP})")]
        },
    },
    "The source strap measured: heart rate, 9 readings, 1 a second while it measured": {
        "9 readings, all imported from files": {"vital": imported(readings())},
        "9 readings, all simulated": {"vital": readings(flags="simulated")},
        "9 readings, all replayed": {"vital": readings(flags="replayed contact_lost")},
        "9 readings, all typed in by hand": {"vital": readings(flags="manual")},
        "9 readings, all estimated": {"vital": readings(flags="estimated")},
        r"made up\) measured: heart rate, 9 readings\.": {
            "vital": readings(f"x.csv ({MADE_UP})", flags="")
        },
    },
    "The source ble:h10 measured": {
        "9 readings, all imported": {"vital": imported(readings("ble:h10"))}
    },
    "The source ble:oh1 measured": {
        "9 readings, all simulated": {"vital": readings("ble:oh1", flags="simulated")}
    },
    "The source ble:h7 measured": {
        "9 readings, all imported": {"vital": readings("ble:h7", flags="imported")}
    },
    "Stated of 1 session: Skin conductance by Shimmer3": {"": {"session": [session_row(0, 60)]}},
    "RR intervals of ble:h10": {"": {"vital": readings()}},
    "9 intervals between R waves that Affect Edge found": {
        "9 intervals that were imported; what found the beats is not known": {
            "vital": imported(readings("ble:h10", "rr_interval", error=ECG_ERROR_S))
        }
    },
    "RR intervals of ble:oh1": {"": {"vital": readings()}},
    "9 intervals between pulses that an optical armband found": {
        "9 intervals that are simulated": {
            "vital": readings("ble:oh1", "rr_interval", error=0.012, flags="simulated")
        }
    },
    "RR intervals of ble:h7": {"": {"vital": readings()}},
    "9 intervals as the sensor sent them over the Heart Rate Service": {
        "9 intervals that were imported": {
            "vital": readings("ble:h7", "rr_interval", flags="imported")
        }
    },
    "Model of the kind expression, .* in use since": {
        "": {"expression": []},
        "1 held": {"expression": [{"at": 10.0, "simulated": 1}]},
        "in 1 session": {"expression": [{"at": 10.0, "import": 1}]},
        "1 session": {"model": [{**MODEL, "since": 30.0}]},
        "holds 1": {"model": [{**MODEL, "since": 0.0, "import": 1}]},
    },
    "Responses of skin conductance were found": {"": {}},
    "Preregistration 1 was frozen": {"": {"preregistration": []}},
    "None of 1 session began before it was frozen": {
        "1 of 1 session began before it was frozen": {"preregistration": [frozen(60.0)]},
        "Whether 1 session began before it is not known": {
            "session": [session_row(0, 60, origin=f"import: x.csv ({MADE_UP})")]
        },
    },
    r"Consent was noted to these versions of its text: version 1 \(1\)": {
        "holds 1 participant": {"participant": [{"code": CODE, "simulated": 1}]}
    },
}
"""Each sentence → what stands instead → what differs in a study in which it is false."""


def method(folder: Path, responses: str, **differing: list[Row]) -> str:
    file = timeline(folder, **{**WHOLE, **differing})
    tables = {SKIN_RESPONSES: responses} if responses else {}
    appliance = Appliance("lab", question={"scr_threshold": 0.05}, tables=tables)
    with read_transaction(file) as connection:
        text = method_text(read_facts(ExportSource(connection, Choice(), appliance)), appliance)
    return " ".join(text.partition("## Recording")[2].split())


def test_every_sentence_of_the_method_has_a_study_that_denies_it(tmp_path: Path) -> None:
    text = method(tmp_path, RESPONSES)
    sentences = re.split(r"(?<=[a-z0-9)])(?<!al)\. (?=[A-Z0-9])", text)
    for sentence in sentences:
        known = [claim for claim in CLAIMS if re.match(claim, sentence)]
        assert known, f"say in CLAIMS when this is false: {sentence}"
    for claim in CLAIMS:
        assert re.search(claim, text), claim


@pytest.mark.parametrize(
    ("claim", "instead", "differing"),
    [(claim, *denial) for claim, denials in CLAIMS.items() for denial in denials.items()],
)
def test_sentence_of_the_method_is_missing_where_it_is_false(
    tmp_path: Path, claim: str, instead: str, differing: Mapping[str, list[Row]]
) -> None:
    responses = "" if claim.startswith("Responses") else RESPONSES
    text = method(tmp_path, responses, **differing)
    assert not re.search(claim, text)
    assert re.search(instead, text)
