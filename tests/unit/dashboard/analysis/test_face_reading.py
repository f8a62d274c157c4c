"""How often the classifier is right is told for the prior with which it was used."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.questions.comparison.computing import face_reading
from edge_agent.core.expression import Emotion
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.inserts import ModelUse, write_model
from edge_agent.vision.models.card import find_model, read_card


@pytest.mark.parametrize(
    ("prior", "split"), [("data", "PublicTest"), ("fitted", "PublicTest, fitted prior")]
)
def test_face_reading_prior_of_the_model_in_use_decides(
    tmp_path: Path, prior: str, split: str
) -> None:
    card = read_card(find_model("expression-accurate"))
    database = tmp_path / "affect-edge.db"
    migrate(database)
    with write_transaction(database) as connection:
        use = ModelUse("expression", card.name, card.version, card.sha256, 1, 0, prior)
        write_model(connection, use)

    told = face_reading(database, ())

    assert told is not None
    for emotion in (Emotion.NEUTRAL, Emotion.ANGER):
        expected = card.metrics[f"{split}, FER+ majority, {emotion.value}"]
        recall = told.recalls[emotion]
        assert (recall.share, recall.n) == (expected["recall"], expected["n"])


def test_face_reading_of_another_version_of_the_card_is_not_known(tmp_path: Path) -> None:
    card = read_card(find_model("expression-accurate"))
    database = tmp_path / "affect-edge.db"
    migrate(database)
    with write_transaction(database) as connection:
        before = ModelUse("expression", card.name, "1.4.0", card.sha256, 1, 0, "fitted")
        write_model(connection, before)
    assert face_reading(database, ()) is None
