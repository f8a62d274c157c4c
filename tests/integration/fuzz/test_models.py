"""TFLite files damaged in every way: they run or are refused by an error of ours, and never take
the process that asks along, nor a second of the processor.

The runtime checks the form of a file and trusts its numbers: of some files it dies. That is why
models of others are tried in a process of their own; what dies there is refused, which this makes
sure of, too.

Who wants to harm gives a card that fits the damaged file, so the card's SHA-256 is made right here.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import MODELS_FOLDER
from edge_agent.vision.models.model import try_apart
from tests.support.fuzz.damage import Change, Costs, changed, give_changes
from tests.support.fuzz.model_worker import write_damaged
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model

ROOT = Path(__file__).resolve().parents[3]
WANTED = int(os.environ.get("FUZZ_PAYLOADS", "40"))
TRIED_AGAIN = 20
"""How many of those that ended their process are given to the agent's own trial: a second each."""
ANSWER_S = 60.0
"""Longest wait for an answer of a busy machine; the processor's seconds are what is judged."""


class Loader:
    """A process that loads models; it is started anew when it dies."""

    def __init__(self, card: Path) -> None:
        self._card = card
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.fuzz.model_worker", str(self._card)],
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
        if not line:
            code = self._process.wait(60)
            self.close()
            self._process = self._start()
            return 0.0, f"died of {signal.Signals(-code).name}"
        seconds, _, raised = line.rstrip("\n").partition(" ")
        return float(seconds), raised

    def close(self) -> None:
        self._process.kill()
        self._process.wait(60)
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
def test_any_bytes_in_a_model_are_run_or_refused_and_never_end_who_asks(
    card: Path, loader: Loader
) -> None:
    whole = card.with_suffix(".tflite").read_bytes()
    assert loader.load(whole)[1] == ""
    costs = Costs()
    deaths = Counter[str]()

    def take(change: Change, _: int) -> None:
        content = changed(whole, change)
        seconds, raised = loader.load(content)
        costs.add(seconds)
        if raised.startswith("died"):
            deaths[raised] += 1
            if deaths.total() <= TRIED_AGAIN:
                deaths[refusal_of(card, content)] += 1
        else:
            assert raised in {"", "ModelError"}

    give_changes(take, WANTED)
    assert not deaths["taken"], "the agent would load a model that ends the process"
    costs.tell(f"{card.name} ({dict(deaths)})")


def refusal_of(card: Path, content: bytes) -> str:
    """Say how the agent and ``affect-edge model install`` refuse a model, which they try apart."""
    write_damaged(card, content)
    try:
        try_apart(card)
    except ModelError:
        return "refused"
    return "taken"
