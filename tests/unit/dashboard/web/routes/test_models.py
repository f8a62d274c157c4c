"""The models in use and their cards, on the page and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.options import DashboardOptions
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.vision.models.card import find_model, read_card
from tests.support.dashboard import client_of, set_up

SINCE_MS = 1_790_000_000_000


def use_model(folder: Path, name: str, sha256: str, version: str = "1.3.0") -> None:
    """Note a model file as the agent does when it starts."""
    with write_transaction(DashboardOptions(data=folder).database) as connection:
        connection.execute(
            "INSERT INTO model (kind, name, version, sha256, since) VALUES (?, ?, ?, ?, ?)",
            ("expression", name, version, sha256, SINCE_MS),
        )


def test_a_model_is_shown_with_what_its_card_says(ada: TestClient, tmp_path: Path) -> None:
    card = read_card(find_model("expression-accurate"))
    use_model(tmp_path, card.name, card.sha256, card.version)
    (model,) = ada.get("/api/v1/models").json()
    assert (model["name"], model["since"]) == ("expression-accurate", SINCE_MS)
    assert model["card"]["metrics"] == card.metrics
    assert model["card"]["schema"] == 1, "as in the file"
    page = ada.get("/models").text
    for text in ("FER2013 Training; FER+ votes", card.sha256, card.limits[1], "1,894,511"):
        assert text in page
    assert str(card.metrics["PublicTest"]["ferplus_accuracy"]) in page


CARD = read_card(find_model("expression-accurate"))


@pytest.mark.parametrize(("sha256", "version"), [("0" * 64, CARD.version), (CARD.sha256, "1.0.0")])
def test_a_card_of_other_weights_or_version_is_not_shown(
    ada: TestClient, tmp_path: Path, sha256: str, version: str
) -> None:
    use_model(tmp_path, "expression-accurate", sha256, version)
    (model,) = ada.get("/api/v1/models").json()
    assert model["card"] is None
    page = ada.get("/models").text
    assert "No model card on this device has this SHA-256 and version" in page and sha256 in page
    assert all(one["since"] is None for one in ada.get("/api/v1/models/cards").json())
    assert "badge-good" not in page, "the card beside other weights is not that of the model in use"


def test_every_model_of_the_device_is_reported_and_which_one_runs(tmp_path: Path) -> None:
    fast = read_card(find_model("expression-fast"))
    ada = set_up(client_of(tmp_path, models=("expression-accurate", "face-detector")), tmp_path)
    use_model(tmp_path, fast.name, fast.sha256, fast.version)
    told = ada.get("/api/v1/models/cards").json()
    states = [(one["card"]["name"], one["configured"], one["since"]) for one in told]
    assert states == [
        ("expression-fast", False, SINCE_MS),
        ("expression-accurate", True, None),
        ("face-detector", True, None),
        ("face-cover", False, None),
        ("face-movements", False, None),
    ]
    assert all(one["shipped"] and one["bytes"] > 10_000 for one in told)
    page = ada.get("/models").text
    assert page.count("in use</span>") - page.count("not in use</span>") == 2, "table and heading"
    assert page.count("configured, not used yet") == 4


def test_a_model_of_ones_own_is_reported_and_one_that_is_missing_is_named(tmp_path: Path) -> None:
    card = read_card(find_model("expression-fast")).model_copy(
        update={"name": "own", "version": "2.0.0", "file": "own.tflite"}
    )
    own = tmp_path / "own.json"
    own.write_text(card.to_json(), encoding="utf-8")
    ada = set_up(client_of(tmp_path, models=(str(own), "nothing")), tmp_path)
    told = ada.get("/api/v1/models/cards").json()
    (found,) = [one for one in told if not one["shipped"]]
    assert (found["card"]["name"], found["configured"], found["bytes"]) == ("own", True, None)
    page = ada.get("/models").text
    assert "there is no model &#39;nothing&#39;" in page
    assert ">2.0.0</span>, your own" in page and "missing" in page
    assert "With n: " not in page


def test_a_model_without_publictest_shows_what_it_was_tested_on(tmp_path: Path) -> None:
    tested = {"ferplus_accuracy": 0.7917, "ferplus_macro_f1": 0.51, "ferplus_n": 48}
    card = CARD.model_copy(
        update={"name": "own", "file": "own.tflite", "metrics": {"tested": tested}}
    )
    own = tmp_path / "own.json"
    own.write_text(card.to_json(), encoding="utf-8")
    page = (
        set_up(client_of(tmp_path, models=(str(own), "face-detector")), tmp_path)
        .get("/models")
        .text
    )
    assert "(n&nbsp;=&nbsp;48)" in page and "79.2" in page
    assert "With n: share of the n faces that your own training set aside." in page


def test_the_page_shows_confusion_reliability_and_robustness(ada: TestClient) -> None:
    page = ada.get("/models").text
    assert page.count('aria-label="Confusion matrix of expression-') == 2
    assert '<td class="number share-9"><strong>1,077</strong></td>' in page
    assert "On average the two differ by 1.6 points." in page
    assert "lower half covered" in page and "39.5" in page
    assert "sudo affect-edge model install" in page
