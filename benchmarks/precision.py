"""What a step of training costs in bfloat16 and in float32: the reason why training chooses.

    python benchmarks/precision.py [--json] [--steps N]

Batches of 32 made-up faces, one thread, the two precisions in turns; the median of the processor
time of whole steps (loss, gradient, optimizer, average). Needs the training extra.
"""

from __future__ import annotations

import argparse
import json
import statistics
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

if TYPE_CHECKING:
    from training.expression.task import ExpressionTask

RECIPES = Path(__file__).resolve().parents[1] / "training" / "recipes"
NAMES = ("own-faces", "expression-accurate")
BATCH = 32
KINDS = {"bfloat16": "AVX512", "float32": "AVX2"}
"""Precision → a kind of processor for which training chooses it."""


def task_of(name: str) -> ExpressionTask:
    """Return the task of a published recipe with one batch of noise to learn from."""
    from training.data.datasets import Faces
    from training.data.lessons import lessons
    from training.expression.recipe import ExpressionRecipe
    from training.expression.task import ExpressionTask
    from training.learning.recipe import load_recipe

    recipe = load_recipe(RECIPES / f"{name}.toml", ExpressionRecipe)
    schedule = recipe.schedule.model_copy(update={"batch": BATCH})
    random = np.random.default_rng(1)
    faces = Faces(
        pictures=random.integers(0, 256, (BATCH, 48, 48), dtype=np.uint8),
        fer2013=np.arange(BATCH) % 7,
        votes=np.eye(10, dtype=np.uint8)[np.arange(BATCH) % 7] * 10,
        usage=np.zeros(BATCH, dtype=np.int8),
    )
    return ExpressionTask(recipe.model_copy(update={"schedule": schedule}), lessons(faces), faces)


def measured(name: str, steps: int) -> dict[str, float]:
    """Return the median processor time of a step in each precision, ms, and the ratio of both."""
    import torch

    from training.learning.loop import begin, step
    from training.learning.recipe import Schedule

    task = task_of(name)
    schedule = Schedule(epochs=1, batch=BATCH, optimizer="muon", peak_lr=1e-4)
    state = begin(task, schedule)
    batch = next(iter(task.batches(0, torch.Generator().manual_seed(1))))
    times: dict[str, list[float]] = {precision: [] for precision in KINDS}
    for _ in range(steps + 1):
        for precision, kind in KINDS.items():
            with patch.object(torch.backends.cpu, "get_cpu_capability", return_value=kind):
                began = process_time()
                step(task, state, state.module, schedule, batch)
                times[precision].append(process_time() - began)
    medians = {precision: statistics.median(each[1:]) for precision, each in times.items()}
    figure = f"training_step_{name.replace('-', '_')}"
    figures = {f"{figure}_{precision}_ms": 1000 * median for precision, median in medians.items()}
    return figures | {f"{figure}_bfloat16_to_float32": medians["bfloat16"] / medians["float32"]}


def main() -> None:
    """Measure and print."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--json", action="store_true", help="print one object of figures")
    parser.add_argument("--steps", type=int, default=7, help="steps of each precision")
    options = parser.parse_args()
    if find_spec("torch") is None:
        raise SystemExit(
            "benchmarks.precision: PyTorch is missing. Install with: .venv/bin/pip install -e "
            "'.[training]'"
        )
    import torch

    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    for name in NAMES:
        for figure, value in measured(name, options.steps).items():
            figures[figure] = round(value, 2)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"processor: {torch.backends.cpu.get_cpu_capability()}")
    for figure, value in figures.items():
        print(f"{figure:54} {value:10.2f}")


if __name__ == "__main__":
    main()
