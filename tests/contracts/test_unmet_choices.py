"""Each choice whose values are those of the data is reported where it met nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from starlette.testclient import TestClient

from affect_edge import cli
from affect_edge.options import LateCommand
from dashboard.analysis.unmet import fields as fields_by_data
from dashboard.questions.entry import Question, Way
from dashboard.questions.register import QUESTIONS
from tests.support.commands import Done, affect_edge
from tests.support.dashboard import client_of, set_up
from tests.support.exports.full_study import full_study
from tests.support.laboratory.xdf import laboratory

FIELDS = fields_by_data()
CONSENT = ("--consent", "1", "--consent-on", "2026-01-05T08:00:00Z", "--purpose", "research")
XDF = "needs pyxdf"
REFUSED = {
    "--session": "no session",
    "--map": "is no target",
    "--column": "is not there",
    "--face": "has no face",
    "--family": "is not tested",
    "--device": "--source",
}
"""Options of which a value that is not there is an error, and words of it."""
NO_CHOICE = {
    "--field": "describes a person anew",
    "--participant": "names a person anew; their number is checked",
    "--host": "names where a service listens",
}
"""Options that may be repeated, and that choose nothing of the data."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    every: dict[str, click.Command] = {}
    for name, one in group.commands.items():
        command = one.loaded() if isinstance(one, LateCommand) else one
        if isinstance(command, click.Group):
            every |= commands(command, (*path, name))
        else:
            every[" ".join((*path, name))] = command
    return every


def choices_of(command: click.Command) -> list[str]:
    """Return the options that may be repeated, or are those of a question, with any text."""
    fields = {f"--{name.replace('_', '-')}" for name in FIELDS}
    return [
        one.opts[0]
        for one in command.params
        if isinstance(one, click.Option)
        and not isinstance(one.type, click.Choice)
        and (one.multiple or (one.opts[0] in fields and one.type is click.STRING))
    ]


REPORTED = [
    (name, option)
    for name, command in commands(cli).items()
    for option in choices_of(command)
    if option not in {*REFUSED, *NO_CHOICE}
]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_study(tmp_path_factory.mktemp("there")).parent


def readings(folder: Path) -> Path:
    path = folder / "hr.csv"
    path.write_text("time,hr\n2026-01-05T08:00:00Z,61\n")
    return path


def recording(folder: Path) -> Path:
    pytest.importorskip("pyxdf", reason=XDF)
    path = folder / "sub-P01_lab.xdf"
    path.write_bytes(laboratory().content)
    return path


def wide(folder: Path) -> Path:
    path = folder / "wide.csv"
    path.write_text("id,hr_neutral,hr_anger\nP1,60,70\nP2,61,72\n")
    return path


Words = Callable[[Path], tuple[object, ...]]
GIVEN: dict[tuple[str, str], tuple[str, Words]] = {
    ("import-study", "--leave-out"): ("P99", lambda to: (wide(to), "--wide", *CONSENT)),
    ("import-study", "--marker"): (
        "zzz=stimulus_start/anger",
        lambda to: (recording(to), *CONSENT),
    ),
    ("import-study", "--unit"): ("systolic=kPa", lambda to: (recording(to), *CONSENT)),
    ("import-vitals", "--unit"): ("nosuch=mg", lambda to: (readings(to), "--map", "guess")),
    ("sql", "--value"): ("nosuch=1", lambda _: ("SELECT 1",)),
}
"""A value that is not there, and the words beside it; of a question: none."""
BESIDE = {"--states": ("--states", "anger"), "--against": ("--event", "anger")}


def run(name: str, option: str, there: Path, folder: Path, *more: str) -> tuple[str, Done]:
    text, words = GIVEN.get((name, option), ("nosuch", lambda _: BESIDE.get(option, ())))
    data = folder / "data" if name.startswith("import") else there
    given = (*words(folder), option, text, *more, "--data", data)
    return text.partition("=")[0], affect_edge(*name.split(), *given)


@pytest.mark.parametrize(("name", "option"), REPORTED)
def test_option_that_meets_nothing_is_named_with_its_value(
    there: Path, tmp_path: Path, name: str, option: str
) -> None:
    value, done = run(name, option, there, tmp_path)
    assert done.code == 0, done.err
    assert f"{value}, given with {option}, met nothing" in done.err
    assert "met nothing" not in done.out


@pytest.mark.parametrize(("name", "option"), REPORTED)
def test_option_that_meets_nothing_is_named_beside_json(
    there: Path, tmp_path: Path, name: str, option: str
) -> None:
    more = ("--format", "json") if name == "sql" else ("--json",)
    value, done = run(name, option, there, tmp_path, *more)
    assert done.code == 0, done.err
    assert f"{value}, given with {option}, met nothing" in done.err + done.out


@pytest.mark.parametrize(("option", "words"), REFUSED.items())
def test_option_that_is_refused_names_its_value(
    there: Path, tmp_path: Path, option: str, words: str
) -> None:
    faces = Path("tests/support/face_tables/openface.csv").resolve()
    start = ("--start", "2026-01-05T08:00:00Z", "--into-session", "1")
    given: dict[str, tuple[Any, ...]] = {
        "--session": ("analyse", option, "99"),
        "--map": ("import-vitals", readings(tmp_path), option, "nosuch=hr"),
        "--column": ("import-study", wide(tmp_path), "--wide", option, "nosuch=a:hr", *CONSENT),
        "--face": ("import-faces", faces, *start, option, "99"),
        "--family": ("analyse", option, "nosuch"),
        "--device": ("analyse", option, "nosuch"),
    }
    done = affect_edge(*given[option], "--data", there)
    assert done.code != 0
    assert words in done.err
    assert ("99" if option in {"--session", "--face"} else "nosuch") in done.err


def test_leave_out_of_a_code_in_other_letters_is_met(there: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    assert affect_edge("export", "--out", bundle, "--data", there).code == 0
    done = affect_edge("import-study", bundle, "--leave-out", "p02", "--data", tmp_path / "data")
    assert (done.code, "met nothing" in done.err) == (0, False), done


@pytest.mark.parametrize(
    "words",
    [
        ("analyse", "--group", "Medication"),
        ("analyse", "--states", "ANGER", "--states", "nosuch"),
        ("responses", "--event", "Anger"),
        ("analyse", "--prefer-source", "strap"),
    ],
)
def test_choice_in_other_letters_is_met(there: Path, words: tuple[str, ...]) -> None:
    done = affect_edge(*words, "--data", there)
    assert (done.code, f"{words[2]}, given with" in done.err) == (0, False), done


@pytest.fixture(scope="module")
def client(there: Path) -> TestClient:
    return set_up(client_of(there), there)


@pytest.mark.parametrize("question", QUESTIONS, ids=[one.name for one in QUESTIONS])
def test_field_that_meets_nothing_is_named_on_page_and_by_api(
    client: TestClient, question: Question
) -> None:
    for name in FIELDS.keys() & question.query.model_fields.keys():
        value: Any = ["nosuch", "anger"] if name == "states" else "nosuch"
        words = f"nosuch, given with {FIELDS[name].title}, met nothing"
        if question.has(Way.PAGE):
            page = client.get(f"/{question.name}", params={name: value})
            assert page.status_code == 200, page.text
            assert words in page.text
            assert "met nothing" not in client.get(f"/{question.name}").text
        if question.has(Way.API):
            answer = client.get(f"/api/v1/{question.name}", params={name: value})
            assert answer.status_code == 200, answer.text
            assert words in answer.headers["Warning"]
            assert "Warning" not in client.get(f"/api/v1/{question.name}").headers


@pytest.mark.parametrize("value", ["a\rb", "a\nSet-Cookie: b", 'a"b\\', "ä\x7f", "a\x00b"])
def test_choice_in_any_letters_leaves_the_headers_of_an_answer_whole(
    client: TestClient, value: str
) -> None:
    headers = client.get("/api/v1/analysis", params={"prefer_source": [value, "other"]}).headers

    warnings = [text for name, text in headers.multi_items() if name == "warning"]
    assert warnings or "\x00" in value  # which is refused before
    assert all(text.isascii() and text.isprintable() for text in warnings)
    assert "set-cookie" not in headers


def test_code_to_leave_out_that_nobody_has_is_named_on_the_page(client: TestClient) -> None:
    table = "id,hr_neutral,hr_anger\nP1,60,70\n"
    sent = client.post(
        "/study/import", files=[("files", ("wide.csv", table))], follow_redirects=False
    )
    stated = {"purpose": "research", "text_version": "v1", "given_at": "2026-01-01T10:00"}
    answer = client.get(sent.headers["location"], params={**stated, "leave_out": "P99"})
    assert answer.status_code == 200, (sent.headers, answer.status_code, answer.text)
    assert "P99, given with the field “Leave out”, met nothing. There is: P1." in answer.text
