"""The multiverse of a question: its page, its answer to programs, and its table in a bundle."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from dashboard.web.settings import DashboardOptions
from edge_agent.cli import cli
from tests.support.dashboard import client_of, set_up
from tests.support.studies import add_stimuli

PAGE = "/analysis/multiverse?vital=heart_rate"
ANSWER = "/api/v1/analysis/multiverse?vital=heart_rate"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("multiverse")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    """A dashboard with five people, of whom anger raises the heart rate."""
    with client_of(folder) as client:
        set_up(client, folder)
        for number in range(5):
            levels = {"neutral": 60.0 + number, "anger": 64.0 + 1.3 * number, "happiness": 61.0}
            states = {
                label: [level + second % 3 for second in range(40)]
                for label, level in levels.items()
            }
            add_stimuli(DashboardOptions(data=folder).database, f"P-{number}", states)
        yield client


def test_nothing_is_computed_before_somebody_asks(client: TestClient) -> None:
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "By choice" not in page.text


@pytest.mark.parametrize(("test", "shown"), [("0", 0), ("2", 2), ("99", 2), ("nonsense", 0)])
def test_the_page_draws_the_test_that_is_named_and_tells_of_all(
    client: TestClient, test: str, shown: int
) -> None:
    page = client.get(f"{PAGE}&test={test}").text
    titles = ["Heart rate, anger − neutral", "happiness − neutral", "anger − happiness"]
    assert f"{titles[shown]}, /min" in page
    assert "By choice" in page and "no further family of tests" in page


def test_a_question_that_is_none_is_refused_by_name(client: TestClient) -> None:
    page = client.get("/analysis/multiverse?colour=red&test=0")
    assert page.status_code == 422
    assert "colour = &#39;red&#39;" in page.text


def test_a_question_that_nobody_can_answer_says_why(client: TestClient) -> None:
    page = client.get("/analysis/multiverse?sample=selected&session=4711&test=0")
    assert page.status_code == 422
    assert "4711" in page.text


def test_programs_get_every_set_of_choices_with_the_declared_one_first(client: TestClient) -> None:
    answer = client.get(ANSWER).json()
    assert len(answer["comparisons"]) == 3
    first = answer["comparisons"][0]["estimates"][0]
    assert first["declared"] and first["specification"] == 1


def test_a_bundle_has_it_where_somebody_asks(client: TestClient, folder: Path) -> None:
    out = folder / "bundle.zip"
    words = ["export", "--data", str(folder), "--out", str(out), "--multiverse"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(out) as archive:
        lines = archive.read("multiverse.csv").decode().splitlines()
    assert lines[0].startswith("vital,") and len(lines) > 10


def test_a_range_has_no_multiverse(client: TestClient, folder: Path) -> None:
    words = ["export", "--data", str(folder), "--out", str(folder / "b.zip"), "--multiverse"]
    done = CliRunner().invoke(cli, [*words, "--from", "2026-01-01"])
    assert done.exit_code == 2
    assert "leave out --from and --to" in done.output
