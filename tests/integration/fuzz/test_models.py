"""TFLite files damaged in every way: they run or are refused by an error of ours, and never take
the process that loads them along, nor a second of the processor.

Who wants to harm gives a card that fits the damaged file, so the card's SHA-256 is made right here.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from edge_agent.vision.models.card import MODELS_FOLDER
from tests.support.fuzz.damage import CHANGES, Change, Costs, changed, examples
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model

ROOT = Path(__file__).resolve().parents[3]
WANTED = int(os.environ.get("FUZZ_PAYLOADS", "100"))
ANSWER_S = 60.0
"""Longest wait for an answer of a busy machine; the processor's seconds are what is judged."""


class Loader:
    """A process that loads models; it is started anew when it dies."""

    def __init__(self, card: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fuzz.model_worker", str(card)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def load(self, content: bytes) -> tuple[float, str]:
        """Return seconds of the processor, and what was raised; empty: nothing."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(len(content).to_bytes(8, "big") + content)
        self._process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(ANSWER_S), "it hangs"
        line = self._process.stdout.readline().decode()
        assert line, f"the process died ({self._process.wait(10)})"
        seconds, _, raised = line.rstrip("\n").partition(" ")
        return float(seconds), raised

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(params=["tiny", "face-cover"])
def card(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model, one of nothing but structure and one with weights."""
    if request.param == "tiny":
        content = tiny_tflite()
        return write_model(tmp_path, content, expression_card(content))
    for end in (".json", ".tflite"):
        shutil.copy2(MODELS_FOLDER / f"face-cover{end}", tmp_path)
    return tmp_path / "face-cover.json"


@pytest.fixture
def loader(card: Path) -> Iterator[Loader]:
    running = Loader(card)
    yield running
    running.close()


@pytest.mark.timeout(7200)
def test_any_bytes_in_a_model_are_run_or_refused_and_end_no_process(
    card: Path, loader: Loader
) -> None:
    whole = card.with_suffix(".tflite").read_bytes()
    assert loader.load(whole)[1] == ""
    costs = Costs()

    @given(CHANGES)
    @examples(WANTED)
    def take(change: Change) -> None:
        seconds, raised = loader.load(changed(whole, change))
        assert raised in {"", "ModelError"}
        costs.add(seconds)

    take()
    costs.tell(card.name)
