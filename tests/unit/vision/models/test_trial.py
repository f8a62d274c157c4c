"""A model of others is loaded in another process first, which has little memory and time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.core.errors import ModelError
from edge_agent.vision.models import model
from edge_agent.vision.models.card import MODELS_FOLDER
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model


def test_a_model_of_others_is_tried_apart_before_it_is_installed_or_used(tmp_path: Path) -> None:
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content))
    model.try_apart(card)
    model.try_apart(MODELS_FOLDER / "expression-fast.json")
    card.with_suffix(".tflite").write_bytes(content + b"more")
    with pytest.raises(ModelError, match="the card says"):
        model.try_apart(card)


@pytest.mark.parametrize(
    ("name", "few"), [("MEMORY_BYTES", 1 << 20), ("CPU_SECONDS", -1), ("WAIT_SECONDS", 0.01)]
)
def test_what_takes_too_much_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, few: float
) -> None:
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content))
    if name == "WAIT_SECONDS":
        monkeypatch.setattr(model, name, few)
    else:
        starved = f"import {model.__name__} as t, sys, pathlib; t.{name} = {few}; "
        starved += "sys.exit(t.main(pathlib.Path(sys.argv[-1])))"
        run = subprocess.run
        monkeypatch.setattr(
            model.__name__ + ".subprocess.run",
            lambda words, **rest: run([words[0], "-c", starved, words[-1]], **rest),
        )
    with pytest.raises(ModelError, match=r"cannot be loaded within|cannot run|is no TFLite model"):
        model.try_apart(card)


def test_the_process_that_tries_says_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model, "limit", lambda: None)  # it would hold for the other tests, too
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content))
    assert model.main(card) == 0
    card.with_suffix(".tflite").unlink()
    assert model.main(card) == 3
    assert "no such file" in capsys.readouterr().out


def test_the_limits_hold_for_the_process_that_asks_for_them() -> None:
    asked = f"import resource, {model.__name__} as t; t.limit(); "
    asked += "print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)
    assert int(told.stdout) == model.MEMORY_BYTES
