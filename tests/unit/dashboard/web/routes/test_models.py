"""The models in use and their cards, on the page and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.settings import DashboardOptions
from edge_agent.store.database.schema import write_transaction
from edge_agent.vision.models.card import find_model, read_card
from tests.support.dashboard import client_of, set_up

SINCE_MS = 1_790_000_000_000


@pytest.fixture
def ada(tmp_path: Path) -> TestClient:
    """Somebody who is logged in."""
    return set_up(client_of(tmp_path), tmp_path)


def use_model(folder: Path, name: str, sha256: str) -> None:
    """Note a model file as the agent does when it starts."""
    with write_transaction(DashboardOptions(data=folder).database) as connection:
        connection.execute(
            "INSERT INTO model (kind, name, version, sha256, since) VALUES (?, ?, ?, ?, ?)",
            ("expression", name, "1.3.0", sha256, SINCE_MS),
        )


def test_before_the_agent_ran_the_page_says_what_to_do(ada: TestClient) -> None:
    assert ada.get("/api/v1/models").json() == []
    assert "Start it with <code>affect-edge run" in ada.get("/models").text


def test_a_model_is_shown_with_what_its_card_says(ada: TestClient, tmp_path: Path) -> None:
    card = read_card(find_model("expression-accurate"))
    use_model(tmp_path, card.name, card.sha256)
    (model,) = ada.get("/api/v1/models").json()
    assert (model["name"], model["since"]) == ("expression-accurate", SINCE_MS)
    assert model["card"]["metrics"] == card.metrics
    assert model["card"]["schema"] == 1, "as in the file"
    page = ada.get("/models").text
    for text in ("FER2013 Training; FER+ votes", card.sha256, card.limits[1], "1,894,511"):
        assert text in page
    assert str(card.metrics["PublicTest"]["ferplus_accuracy"]) in page


def test_a_card_of_other_weights_is_not_shown(ada: TestClient, tmp_path: Path) -> None:
    use_model(tmp_path, "expression-accurate", "0" * 64)
    (model,) = ada.get("/api/v1/models").json()
    assert model["card"] is None
    page = ada.get("/models").text
    assert "No model card on this device has this SHA-256" in page and "FER2013" not in page
