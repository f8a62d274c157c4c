"""A run computes in bfloat16 where that is quick, in float32 elsewhere, and says which."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from torch import Tensor, nn

from tests.support.vision.line_task import SCHEDULE, Line, line
from training.learning.checkpoint import CHECKPOINT
from training.learning.loop import CPU, fit
from training.learning.rates import bfloat16_is_quick, orthogonal, precision_on, precision_sentence

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("undrawn")]

ASKING = SCHEDULE.model_copy(update={"bfloat16": True})
CHANGED = "goes on in"


def processor(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PyTorch find a kind of processor."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kind)


@dataclass
class Watched(Line):
    """The line, which notes in what its network was computed."""

    seen: set[torch.dtype] = field(default_factory=set)

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        self.seen.add(module(batch[0]).dtype)
        return super().loss(module, batch)


def test_pytorch_names_the_kind_of_this_processor_as_it_is_looked_for() -> None:
    with_avx512 = "avx512bw" in Path("/proc/cpuinfo").read_text(encoding="ascii")

    assert bfloat16_is_quick(CPU) == with_avx512


@pytest.mark.parametrize(
    ("kind", "wanted", "expected"),
    [
        ("AVX512", True, "bfloat16"),
        ("AVX512", False, "float32"),
        ("AVX2", True, "float32"),
        ("DEFAULT", True, "float32"),
    ],
)
def test_bfloat16_is_taken_where_it_is_asked_for_and_quick(
    kind: str, wanted: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(kind, monkeypatch)

    assert precision_on(CPU, bfloat16=wanted) == expected


def test_a_gpu_gets_what_the_recipe_asks_for_whatever_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processor("AVX2", monkeypatch)

    assert precision_on(torch.device("cuda:1"), bfloat16=True) == "bfloat16"
    assert precision_on(torch.device("cuda:1"), bfloat16=False) == "float32"


@pytest.mark.parametrize(
    ("kind", "expected"), [("AVX512", torch.bfloat16), ("AVX2", torch.float32)]
)
def test_a_run_computes_in_the_quick_precision(
    kind: str, expected: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(kind, monkeypatch)
    task = Watched(line())

    fit(task, ASKING, tmp_path, seed=1)

    assert task.seen == {expected}
    held = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert held["precision"] == str(expected).removeprefix("torch.")
    assert held["schedule"]["bfloat16"], "the recipe stays what it is"


def test_a_run_says_once_that_it_does_without_bfloat16_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    processor("AVX2", monkeypatch)
    caplog.set_level(logging.INFO)

    fit(Line(line()), ASKING, tmp_path, seed=1)

    said = [text for text in caplog.messages if "bfloat16" in text]
    assert said == ["learning in float32: this processor (AVX2) is slow at the recipe's bfloat16"]
    processor("AVX512", monkeypatch)
    assert precision_sentence(CPU, bfloat16=True) == "learning in bfloat16"
    assert precision_sentence(CPU, bfloat16=False) == "learning in float32"


def test_a_run_goes_on_on_another_kind_of_processor_and_says_what_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    processor("AVX512", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(Line(line(), stop_before=2), ASKING, tmp_path, seed=1)
    processor("AVX2", monkeypatch)

    done = fit(Line(line()), ASKING, tmp_path, seed=1, resume=True)

    assert done.epochs == ASKING.epochs
    (said,) = [text for text in caplog.messages if CHANGED in text]
    assert said.startswith("the run learnt in bfloat16 up to here and goes on in float32")


@pytest.mark.parametrize(("kind", "changes"), [("AVX512", 0), ("AVX2", 1)])
def test_a_checkpoint_that_names_no_precision_was_made_in_the_recipes(
    kind: str,
    changes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    processor("AVX512", monkeypatch)
    fit(Line(line()), ASKING, tmp_path, seed=1)
    held = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    del held["precision"]
    torch.save(held, tmp_path / CHECKPOINT)
    processor(kind, monkeypatch)

    fit(Line(line()), ASKING, tmp_path, seed=1, resume=True)

    assert len([text for text in caplog.messages if CHANGED in text]) == changes


def test_filters_are_turned_alike_in_both_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    filters = torch.randn((40, 8, 3, 3), generator=torch.Generator().manual_seed(3))
    processor("AVX512", monkeypatch)
    rough = orthogonal(filters)
    processor("AVX2", monkeypatch)
    exact = orthogonal(filters)

    assert not torch.equal(rough, exact)
    assert torch.allclose(rough, exact, atol=0.02)
