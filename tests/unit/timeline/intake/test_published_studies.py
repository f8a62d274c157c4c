"""A published data set loads through ``import-study`` and gives the figures that others found.

States have names that the analysis knows; each worker and machine was measured three times.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.__main__ import main as dashboard
from edge_agent.core.clock import iso_utc
from tests.support.statistics.known_mixed_models import MACHINES
from tests.support.timeline import START_MS, query

STIMULUS_MS = 20_000
APART_MS = 3_600_000
STATES = dict(zip(("anger", "happiness", "neutral"), MACHINES.values(), strict=True))


def study(folder: Path) -> Path:
    """A folder of tables: a session for each worker, a stimulus for each score."""
    tables = {
        "participant": ["participant,consent_version,consent_given_at"],
        "session": ["session,participant,purpose,start_at,end_at"],
        "marker": ["at,session,kind,label"],
        "vital": ["at,session,kind,value"],
    }
    for number in range(1, 7):
        scores = [
            (state, score) for state, workers in STATES.items() for score in workers[number - 1]
        ]
        start = START_MS + APART_MS * number
        end = start + STIMULUS_MS * len(scores)
        tables["participant"].append(f"P{number},paper,{iso_utc(START_MS - 1000)}")
        tables["session"].append(f"{number},P{number},research,{iso_utc(start)},{iso_utc(end)}")
        for place, (state, score) in enumerate(scores):
            at = start + STIMULUS_MS * place
            over = at + STIMULUS_MS
            tables["marker"].append(f"{iso_utc(at)},{number},stimulus_start,{state}")
            tables["marker"].append(f"{iso_utc(over)},{number},stimulus_end,{state}")
            tables["vital"].append(f"{iso_utc(over - 1000)},{number},heart_rate,{score!r}")
    made = folder / "published"
    made.mkdir()
    for name, lines in tables.items():
        (made / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return made


def test_machines_of_nlme_gives_the_means_and_the_model_of_the_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = CliRunner().invoke(cli, ["import-study", str(study(tmp_path)), "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output or done.exception
    sql = "SELECT condition, avg(value) FROM session_vital GROUP BY 1"
    # fixef(lme(score ~ Machine, Machines, ~ 1 | Worker)): 52.35556, +7.96667, +13.91667
    assert dict(query(tmp_path / "affect-edge.db", sql)) == {
        "anger": pytest.approx(52.35556, abs=5e-6),
        "happiness": pytest.approx(52.35556 + 7.96667, abs=1e-5),
        "neutral": pytest.approx(52.35556 + 13.91667, abs=1e-5),
    }
    words = ["analyse", "--json", "--data", str(tmp_path), "--vital", "heart_rate"]
    assert dashboard(words) == 0
    answer = json.loads(capsys.readouterr().out)
    tests = {(one["first"], one["second"]): one for one in answer["comparisons"]}
    assert tests["anger", "happiness"]["difference"] == pytest.approx(-7.96667, abs=5e-6)
    assert tests["anger", "neutral"]["difference"] == pytest.approx(-13.91667, abs=5e-6)
    assert tests["anger", "neutral"]["n_both"] == 6
    # Pinheiro and Bates 2000, p. 23: lme(score ~ Machine, Machines, ~ 1 | Worker/Machine), 10 df;
    # the same of one mean a worker and machine, which is what the model here starts from
    for other, t, p in (("happiness", 3.659511, 0.004393), ("neutral", 6.392661, 0.000079)):
        by_model = tests["anger", other]["by_model"]
        assert by_model["error"] == pytest.approx(2.176975, abs=5e-7)
        assert by_model["df"] == pytest.approx(10, abs=1e-6)
        assert by_model["t"] == pytest.approx(-t, abs=5e-7)
        assert by_model["p"] == pytest.approx(p, abs=5e-7)
