"""Each sentence of a deposit's method is missing where it is false: of the recording in a study
that denies it, of the analysis where the answer lacks what the sentence speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.query import DOUBTS, AnalysisQuery
from dashboard.analysis.rendering.words import sentences
from dashboard.analysis.results import ComputedModel
from edge_agent.core.electrocardiogram import ECG_ERROR_S
from edge_agent.core.study import ENTERED, MADE_UP
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.bids_physioevents import SKIN_RESPONSES
from edge_agent.timeline.export.deposit_facts import method_text, read_facts
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.read.sites import reader_of
from tests.support import script_studies
from tests.support.studies import FOUR_PEOPLE, HEART, add_session, heart, make_study
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
        text = method_text(
            read_facts(ExportSource(connection, ExportChoice(), appliance)), appliance
        )
    return " ".join(text.partition("## Recording")[2].split())


def test_every_sentence_of_the_method_has_a_study_that_denies_it(tmp_path: Path) -> None:
    text = method(tmp_path, RESPONSES)
    for sentence in sentences_of(text):
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


def sentences_of(text: str) -> list[str]:
    return re.split(r"(?<=[a-z0-9)%κε])(?<!et al)\. (?=[A-Z0-9])", text)


def tiny(path: Path) -> None:
    add_session(path, "P-1", heart(anger=80.0, neutral=70.0))


def untimed(path: Path) -> None:
    sessions = [
        session_row(
            *(3600.0 * n, 3600.0 * n + 900),
            *((3600.0 * n + 10 + 300 * m, None, state) for m, state in enumerate(FELT)),
            participant=f"P-{n}",
            origin=f"import: x.csv ({MADE_UP})",
        )
        for n in range(5)
    ]
    readings = [
        {"at": 3600.0 * n + 70 + 300 * m, "kind": "heart_rate", "value": 70.0 + n * m + n % 2}
        for n in range(5)
        for m in range(2)
    ]
    timeline(path.parent, session=sessions, vital=[{**one, "source": "x"} for one in readings])


def still(path: Path) -> None:
    people = {f"P-{n}": {"anger": {HEART: [80.0]}, "neutral": {HEART: [70.0]}} for n in range(4)}
    make_study(path.parent, people)


def pooled(path: Path) -> None:
    for number, (code, states) in enumerate(FOUR_PEOPLE.items()):
        add_session(path, code, states)
        add_session(path.with_name("other.db"), f"{code}-{number % 2}", states)


def pooled_apart(path: Path) -> None:
    tiny(path)
    tiny(path.with_name("other.db"))


FELT = ("anger", "neutral")
PRESSURES = {"systolic", "diastolic"}
EVERY_DOUBT = tuple(flag.value for flag in DOUBTS)
STUDIES: Mapping[str, tuple[Callable[[Path], None], Mapping[str, Any]]] = {
    "conditions": (script_studies.example, {}),
    "faces": (script_studies.example, {"state": "observed", "bound_pressure": 8}),
    "reports": (
        script_studies.example,
        {"state": "reported", "design": "paired", "correction": "benjamini_hochberg"},
    ),
    "families": (
        script_studies.example,
        {"vital": ("heart_rate",), "family": ("heart_rate: anger, neutral",), "states": FELT},
    ),
    "doubts": (script_studies.few, {"count_flagged": EVERY_DOUBT, "bound_heart_rate": 2}),
    "some doubts": (script_studies.few, {"count_flagged": EVERY_DOUBT[:1]}),
    "groups": (script_studies.groups, {"design": "independent"}),
    "sessions": (script_studies.sessions, {}),
    "sessions, paired": (script_studies.sessions, {"design": "paired"}),
    "coming back": (script_studies.coming_back, {}),
    "beats": (script_studies.beats, {}),
    "changes": (script_studies.rested, {"outcome": "change"}),
    "made-up times": (untimed, {}),
    "nobody varies": (still, {}),
    "one person": (tiny, {}),
    "sites": (pooled, {}),
    "sites, one person each": (pooled_apart, {}),
}
"""The study that is analysed, and the question asked of it."""


@cache
def analysed(name: str, folder: Path) -> Analysis:
    make, asked = STUDIES[name]
    path = folder / make.__name__ / "affect-edge.db"
    if not path.exists():
        path.parent.mkdir()
        make(path)
    other = path.with_name("other.db")
    sites = (("hall", path), ("room", other)) if other.exists() else (("", path),)
    query = AnalysisQuery.model_validate({"sensitivity": False, **asked})
    return analyse(reader_of(sites), query)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


def t_tests(answer: ComputedModel) -> list[Any]:
    every: tuple[Any, ...] = (*answer.comparisons, *answer.heart_tests, *answer.skin_tests)
    return [one for one in every if one.t is not None]


def ranked(answer: ComputedModel) -> bool:
    return any(one.rank is not None for one in answer.comparisons)


def fitted(answer: ComputedModel) -> list[Any]:
    models = [one for one in answer.models if not one.reason]
    return models if any(one.by_model for one in answer.comparisons) else []


def sources(answer: ComputedModel) -> set[str]:
    agreed = [one for one in answer.agreements if one.kappa is not None]
    return {one.first for one in agreed} | {one.second for one in agreed}


def estimates(answer: ComputedModel) -> list[Any]:
    return [one for one in answer.periods if one.difference is not None]


def compared_with_bound(answer: ComputedModel) -> set[str]:
    return {one.vital.value for one in answer.comparisons if one.equivalence is not None}


def standard(answer: ComputedModel, *kinds: str) -> bool:
    query = answer.question
    pressures = dict.fromkeys(PRESSURES, query.bound_pressure)
    bounds = {"heart_rate": query.bound_heart_rate, **pressures}
    return any(bounds[one] == 5 and one in compared_with_bound(answer) for one in kinds)


def has_three_at_once(answer: ComputedModel) -> bool:
    return len(answer.question.states) == 3 and any(one.f is not None for one in answer.all_states)


def is_decided_by(answer: ComputedModel, *ways: str) -> bool:
    return any(one.result.by in ways for one in answer.comparisons)


ANALYSIS: Mapping[str, Callable[[ComputedModel], bool]] = {
    r"The state of a reading is the condition \(stimulus\)": lambda a: (
        a.question.state == "condition"
    ),
    "The state of a reading is the emotion observed": lambda a: a.question.state == "observed",
    "The state of a reading is the emotion that the participant reported": (
        lambda a: a.question.state == "reported"
    ),
    "Left out at the start of each stimulus": lambda a: a.question.state != "observed",
    "Where the states of a session took turns": lambda a: a.question.state == "observed",
    "From each mean the mean of the baseline": lambda a: a.question.outcome == "change",
    "Readings in doubt are excluded": lambda a: len(a.question.counted) < len(DOUBTS),
    "These readings in doubt count": lambda a: bool(a.question.counted),
    "Where at least 3 participants have both .* their differences; otherwise": (
        lambda a: bool(t_tests(a)) and a.question.design == "auto"
    ),
    "Where at least 3 participants have both .* as asked": (
        lambda a: bool(t_tests(a)) and a.question.design == "paired"
    ),
    "Where at least 3 participants on each side have only that state, .* as asked": (
        lambda a: bool(t_tests(a)) and a.question.design == "independent"
    ),
    "No t-test of these states could be computed": lambda a: not t_tests(a),
    "The t-tests are two-sided": lambda a: bool(t_tests(a)),
    "Their intervals are 95 % and not adjusted": lambda a: bool(t_tests(a)),
    "p values are adjusted by Holm’s method for what could be computed": (
        lambda a: bool(t_tests(a)) and a.question.correction == "holm" and not a.question.family
    ),
    "p values are adjusted by Benjamini and Hochberg’s method for what could be computed": (
        lambda a: bool(t_tests(a)) and a.question.correction != "holm"
    ),
    "p values are adjusted by .* within each family": lambda a: bool(a.question.family),
    "Family “": lambda a: bool(a.question.family),
    "A difference is significant if its adjusted p": lambda a: bool(t_tests(a)),
    "Effect size: Hedges’ g": lambda a: bool(t_tests(a)),
    "Beside the t-test: Shapiro–Wilk": ranked,
    "Neither decides which t-test": ranked,
    "The p of the rank test": ranked,
    "At equal times in the session: the differences are regressed": (
        lambda a: any(one.places for one in estimates(a))
    ),
    "A change over the session that is the same for everybody": (
        lambda a: any(one.places for one in estimates(a))
    ),
    "At equal times in the session: least squares of the differences by the minutes": (
        lambda a: any(one.slope is not None for one in estimates(a))
    ),
    "Mixed model: .*value ~ state": lambda a: bool(fitted(a)),
    "Mixed model: .*value ~ state;": lambda a: any(not one.is_timed for one in fitted(a)),
    r"Mixed model: .*value ~ state \+ place in the order": lambda a: any(
        one.places for one in fitted(a)
    ),
    r"Mixed model: .*value ~ state \+ minutes in the session": (
        lambda a: any(one.minute is not None for one in fitted(a))
    ),
    r"Its random effects are \(1 \| participant / session\)": (
        lambda a: any(one.session_variance is not None for one in fitted(a))
    ),
    r"Its random effect is \(1 \| participant\)": (
        lambda a: bool(fitted(a)) and all(one.session_variance is None for one in fitted(a))
    ),
    "Where somebody met a state in several sessions": (
        lambda a: any(one.reaction_variance is not None for one in fitted(a))
    ),
    "Its p is adjusted over its tests": lambda a: bool(fitted(a)),
    "It is the main analysis, because": lambda a: is_decided_by(a, "mixed_model"),
    "It stands beside the t-tests, which are": (
        lambda a: bool(fitted(a)) and is_decided_by(a, "paired_t", "welch_t", "equal_times")
    ),
    "Bayes factors: JZS": lambda a: any(one.bayes_factor for one in a.comparisons),
    "People of 2 sites are pooled": lambda a: "hall/P-1" in {one.participant for one in a.means},
    "The same code at two sites": lambda a: "hall/P-1" in {one.participant for one in a.means},
    "The mixed model has the site": lambda a: any(one.sites for one in fitted(a)),
    "The t-tests ignore the site": (
        lambda a: bool(t_tests(a)) and "hall/P-1" in {one.participant for one in a.means}
    ),
    "Equivalence: two one-sided t-tests": lambda a: bool(compared_with_bound(a)),
    r"Equivalence: .* ± \d mmHg": lambda a: bool(PRESSURES & compared_with_bound(a)),
    "The bounds of .* are the error that the standards": (
        lambda a: standard(a, "heart_rate", *PRESSURES)
    ),
    "The bounds of heart rate": lambda a: standard(a, "heart_rate"),
    "The bounds of .*systolic pressure": lambda a: standard(a, "systolic"),
    "People needed: for a difference": lambda a: any(one.needed_in_family for one in a.comparisons),
    "All three states at once": has_three_at_once,
    "The pairwise tests do not depend": has_three_at_once,
    "Agreement of ": lambda a: bool(sources(a)),
    "Agreement of .*condition": lambda a: "condition" in sources(a),
    "Agreement of .*face": lambda a: "observed" in sources(a),
    "Agreement of .*self-report": lambda a: "reported" in sources(a),
    "Its interval treats participants": lambda a: any(one.interval for one in a.agreements),
    "Variability: RMSSD and SDNN": lambda a: any(one.rmssd_ms is not None for one in a.variability),
    "Beats that do not fit the rhythm": (
        lambda a: any(one.rmssd_ms is not None for one in a.variability)
    ),
    "Both are computed within each session": (
        lambda a: any(one.rmssd_ms is not None for one in a.variability)
    ),
    "Skin conductance, averaged to four": lambda a: any(
        one.scr_count is not None for one in a.skin
    ),
    "Both measures are computed within each": (
        lambda a: any(one.scr_count is not None for one in a.skin)
    ),
}
"""Each sentence of the analysis → whether an answer has what it speaks of."""
ALWAYS = (
    "The unit is one participant",
    "Readings are averaged within each session and state",
    "Differences are first state minus second",
)
"""Rules of the program that no study and no question changes."""


def test_every_sentence_of_the_analysis_says_when_it_is_false(studies: Path) -> None:
    for name in STUDIES:
        for text in sentences("method", "method", analysed(name, studies)):
            for sentence in sentences_of(text):
                known = [one for one in (*ANALYSIS, *ALWAYS) if re.match(one, sentence)]
                assert known, f"say in ANALYSIS when this is false: {sentence}"


@pytest.mark.parametrize("claim", ANALYSIS)
def test_sentence_of_the_analysis_stands_just_where_it_is_true(studies: Path, claim: str) -> None:
    found: dict[str, bool] = {}
    true: dict[str, bool] = {}
    for name in STUDIES:
        analysis = analysed(name, studies)
        text = sentences("method", "method", analysis)
        found[name] = any(re.match(claim, one) for part in text for one in sentences_of(part))
        true[name] = bool(ANALYSIS[claim](analysis.answer))
    assert found == true
    assert set(true.values()) == {True, False}
