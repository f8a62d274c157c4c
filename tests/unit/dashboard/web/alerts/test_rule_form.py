"""Rules of alerts on the page Alerts: read as sentences, and made, changed and removed there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.languages.current import speaking
from dashboard.languages.names import translate
from dashboard.web.alert_rules import all_watched, rule_sentence
from edge_agent.alerts.rules import alert_text
from edge_agent.alerts.sending import AlertOptions
from edge_agent.config.alerts import AlertSettings, RuleSettings
from edge_agent.config.editing import rules_of
from tests.support.dashboard import client_of, log_in_as, set_up

STARTING = ["agent", "camera", "disk", "backup"]
PULSE = {"watched": "vital:heart_rate", "above": "110", "seconds": "10", "notify": "yes"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "affect-edge.toml"
    path.write_text("[camera]\nfps = 5.0 # slow\n", encoding="utf-8")
    return path


@pytest.fixture
def ada(file: Path, tmp_path: Path) -> Iterator[TestClient]:
    alerts = AlertOptions(AlertSettings(), file=file)
    with client_of(tmp_path / "data", config=file, alerts=alerts) as client:
        yield set_up(client, tmp_path / "data")


def send(ada: TestClient, fields: dict[str, str]) -> str:
    """Send the form of a rule, then the one that writes it; return the page of the first."""
    digest = ada.get("/api/v1/settings").json()["digest"]
    review = ada.post("/alerts/rules", data={"digest": digest} | fields)
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', review.text)
    if review.status_code == 200:
        saved = ada.post("/settings/save", data={name: unescape(value) for name, value in hidden})
        assert saved.headers["location"] == "/settings/saved?rules=True", saved.text
    return unescape(review.text)


def written(file: Path) -> dict[str, dict[str, object]]:
    return {rule["name"]: rule for rule in rules_of(file.read_text(encoding="utf-8"))}


def test_rule_changed_on_the_page_is_changed_in_the_configuration(
    ada: TestClient, file: Path
) -> None:
    assert '+name = "heart-rate"' in send(ada, PULSE)
    rules = written(file)
    assert list(rules) == [*STARTING, "heart-rate"]
    pulse = {"name": "heart-rate", "when": "vital", "vital": "heart_rate"}
    assert rules["heart-rate"] == pulse | {"above": 110, "seconds": 10}
    assert "fps = 5.0 # slow" in file.read_text(encoding="utf-8")
    # an operator sees the rules in force, which are those of the file without a restart
    operator = log_in_as(ada, Role.OPERATOR)
    assert "Tell me when heart rate is above" in unescape(operator.get("/alerts").text)
    page = unescape(ada.get("/alerts").text)
    assert "Tell me when heart rate is above 110 /min for 10 s" in page
    assert "systemctl" not in page

    send(ada, PULSE | {"rule": "heart-rate", "below": "45,5", "in_sessions": "yes", "notify": ""})
    changed = {"below": 45.5, "in_sessions": True, "notify": False}
    assert written(file)["heart-rate"] == rules["heart-rate"] | changed
    send(ada, PULSE)
    assert list(written(file)) == [*STARTING, "heart-rate", "heart-rate-2"]
    send(ada, {"rule": "camera", "remove": "yes"})
    assert list(written(file)) == ["agent", "disk", "backup", "heart-rate", "heart-rate-2"]


def test_page_after_save_can_be_loaded_again_and_leads_back(ada: TestClient, file: Path) -> None:
    assert ada.get("/settings/saved?rules=True").headers["location"] == "/settings", "not saved yet"
    send(ada, PULSE)
    after = file.read_text(encoding="utf-8")
    for _ in range(2):
        page = ada.get("/settings/saved?rules=True&restart=rm").text
        assert "takes effect within seconds" in page and 'href="/alerts"' in page
        assert "meantime" not in page and "systemctl" not in page
    assert file.read_text(encoding="utf-8") == after


def test_rule_form_sent_unchanged_writes_nothing(ada: TestClient, file: Path) -> None:
    before = file.read_text(encoding="utf-8")
    sent = {"rule": "disk", "watched": "disk", "below": "500", "margin": "100", "seconds": "60"}
    assert "Nothing was changed." in send(ada, sent | {"notify": "yes"})
    assert file.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (PULSE | {"above": ""}, "Give the limit as a number."),
        (PULSE | {"seconds": "soon"}, "soon is no number."),
        (PULSE | {"watched": "vital:mood"}, "Choose what is watched."),
        (PULSE | {"rule": "gone"}, "There is no rule gone any more."),
        ({"watched": "camera", "above": "3"}, "camera takes no above"),
    ],
)
def test_wrong_rule_is_refused_and_what_was_typed_stays(
    ada: TestClient, file: Path, fields: dict[str, str], said: str
) -> None:
    before = file.read_text(encoding="utf-8")
    page = send(ada, fields)
    assert said in page and file.read_text(encoding="utf-8") == before
    if "rule" not in fields:
        form = page[page.index('class="rule-new"') :]
        assert 'class="rule-new" open' in page and said in form
        for name in {"above", "seconds"} & set(fields):
            assert re.search(f'name="{name}" value="{fields[name]}"', form)


def test_alerts_page_has_the_form_of_the_rule_that_is_asked_for(ada: TestClient) -> None:
    page = ada.get("/alerts").text
    assert 'name="rule" value="disk"' not in page and 'href="/alerts?rule=disk#rule"' in page
    page = ada.get("/alerts?rule=disk").text
    form = page[page.index('id="rule"') :]
    assert 'name="rule" value="disk"' in form and 'name="below" value="500"' in form
    assert page.count("data-rule-form") == 2, "this one, and that of a new rule"
    refused = send(ada, PULSE | {"rule": "disk", "seconds": "soon"})
    form = refused[refused.index('id="rule"') :]
    assert 'name="rule" value="disk"' in form and 'name="seconds" value="soon"' in form
    assert ada.get("/alerts?rule=gone").text.count("data-rule-form") == 1
    viewer = log_in_as(ada, Role.VIEWER).get("/alerts?rule=disk").text
    assert "data-rule-form" not in viewer


def test_rules_are_read_by_a_viewer_and_changed_by_administrators_alone(ada: TestClient) -> None:
    viewer = log_in_as(ada, Role.VIEWER)
    page = viewer.get("/alerts").text
    assert "Tell me when the camera gives no picture for 30 s" in page
    assert "data-rule-form" not in page
    answer = viewer.post("/alerts/rules", data=PULSE, headers={"origin": "http://127.0.0.1"})
    assert answer.status_code == 403


def test_rule_that_the_file_holds_wrongly_is_named_and_can_be_mended(
    ada: TestClient, file: Path
) -> None:
    file.write_text('[[alerts.rule]]\nname = "hr"\nwhen = "vital"\n', encoding="utf-8")
    assert "The rule hr is written wrongly in the file" in ada.get("/alerts").text
    send(ada, PULSE | {"rule": "hr"})
    assert written(file)["hr"]["vital"] == "heart_rate"


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_everything_that_can_be_watched_reads_as_sentence_in_each_language(language: str) -> None:
    limits = {"above": 40, "below": 30}
    sentences = set()
    for one in all_watched().values():
        taken = {limit: limits[limit] for limit in one.limits}
        rule = RuleSettings(name="x", when=one.kind, vital=one.vital, **taken)
        with speaking(language):
            sentences.add(translate(rule_sentence(rule)))
    assert len(sentences) == len(all_watched())
    start = {"en": "Tell me when ", "de": "Melden, wenn ", "es": "Avisar cuando "}[language]
    assert all(text.startswith(start) for text in sentences), sentences
    assert not any("{" in text or "  " in text for text in sentences)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"when": "backup", "seconds": 60}, "Tell me when there is no good and recent backup"),
        (
            {"when": "disk", "below": 500, "seconds": 60},
            "Tell me when free storage is below 500 MB",
        ),
        (
            {"when": "disk", "below": 500, "seconds": 600},
            "Tell me when free storage is below 500 MB for 600 s",
        ),
    ],
)
def test_rule_sentence_of_what_changes_slowly_names_only_a_long_time(
    rule: dict[str, object], sentence: str
) -> None:
    assert str(rule_sentence(RuleSettings.model_validate({"name": "x"} | rule))) == sentence


@pytest.mark.parametrize(
    ("rule", "for_s"),
    [
        ({"when": "agent", "seconds": 1}, "3.5 s"),
        ({"when": "agent", "seconds": 0}, "2.5 s"),
        ({"when": "sensor", "vital": "heart_rate", "seconds": 10}, "13 s"),
        ({"when": "sensor", "vital": "heart_rate", "seconds": 0}, "3 s"),
        ({"when": "vital", "vital": "heart_rate", "above": 110, "seconds": 10}, "10 s"),
        ({"when": "camera", "seconds": 30}, "30 s"),
    ],
)
def test_rule_says_how_long_it_has_been_so_when_it_alerts(
    rule: dict[str, object], for_s: str
) -> None:
    checked = RuleSettings.model_validate({"name": "one", **rule})
    assert str(rule_sentence(checked)).endswith(f" for {for_s}")
    assert str(alert_text(checked)).endswith(f" for {for_s}.")


def test_backup_and_zero_seconds_read_as_they_are_meant() -> None:
    backup = RuleSettings.model_validate({"name": "b", "when": "backup", "seconds": 0})
    assert str(rule_sentence(backup)) == ("Tell me at once when there is no good and recent backup")
