"""What each step of a network's preparation brings: the network without it, learnt on alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomlkit
from numpy.typing import NDArray

from training.data.datasets import Faces
from training.errors import RecipeError
from training.expression.recipe import ExpressionRecipe, Preparation
from training.learning.recipe import RECIPE, load_recipe
from training.measuring.compare import mcnemar
from training.measuring.evaluate import PROTOCOLS, answers_by_protocol, run_model
from training.measuring.timing import median_milliseconds
from training.systems.gather import System
from training.systems.noise import NOISES, spoilt

UNSPOILT = "as they are"
_LEARNT_ON = ("freeze", "unfreeze_at", "learning_rates")
"""Of a schedule: how what was learnt elsewhere is spared at the start; here all is learnt."""


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One network on pictures as they are, and on spoilt ones.

    Attributes:
        name: which steps it has.
        accuracy: kind of pictures → protocol → share right, 0…1.
        p: protocol → McNemar's exact test against the network with all steps, pictures as they are;
            1 for that network itself.
        milliseconds: of a face, preparation included; median, in turns with the others.
    """

    name: str
    accuracy: dict[str, dict[str, float]]
    p: dict[str, float]
    milliseconds: float


def write_variants(run: Path, epochs: int, folder: Path) -> list[Path]:
    """Write a recipe for each network of the ablation; the first one has all steps.

    Args:
        run: folder of the finished run that each learns on from.
        epochs: that each learns.
        folder: that takes the recipes.

    Returns:
        The recipe files, called by the run's name and the step that is missing.

    Raises:
        RecipeError: the run cannot be read, or prepares nothing.
    """
    form = load_recipe(run / RECIPE, ExpressionRecipe)
    on = [name for name in Preparation.model_fields if getattr(form.preparation, name)]
    if not on:
        raise RecipeError(f"{run}: its recipe has no step of [preparation] that could be left out")
    left_out: dict[str, Sequence[str]] = {"all-steps": ()}
    left_out |= {f"without-{name.replace('_', '-')}": (name,) for name in on}
    left_out["no-step"] = on
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for suffix, missing in left_out.items():
        path = folder / f"{run.name}-{suffix}.toml"
        path.write_text(_variant(form, run.name, path.stem, missing, epochs), encoding="utf-8")
        files.append(path)
    return files


def _variant(
    form: ExpressionRecipe, start: str, name: str, missing: Sequence[str], epochs: int
) -> str:
    content = form.model_dump(mode="json", by_alias=True, exclude_none=True)
    content |= {"name": name, "start": start}
    content.pop("base", None)
    content["preparation"] |= dict.fromkeys(missing, False)
    content["schedule"]["epochs"] = epochs
    for key in _LEARNT_ON:
        content["schedule"].pop(key, None)
    return tomlkit.dumps(content)


def ablation_rows(systems: Sequence[System], faces: Faces) -> list[AblationRow]:
    """Evaluate the networks of an ablation; the first is the one with all steps.

    Raises:
        DataError: when no picture can be evaluated.
    """
    durations = median_milliseconds([system.model for system in systems], faces.pictures)
    kinds = {UNSPOILT: faces.pictures}
    kinds |= {kind: spoilt(faces.pictures, kind) for kind in NOISES}
    rows = []
    first: dict[str, NDArray[np.bool_]] = {}
    for system, milliseconds in zip(systems, durations, strict=True):
        right = {kind: _right(system, pictures, faces) for kind, pictures in kinds.items()}
        first = first or right[UNSPOILT]
        p = {name: mcnemar(one, first[name]).p for name, one in right[UNSPOILT].items()}
        accuracy = {
            kind: {name: float(one.mean()) for name, one in each.items()}
            for kind, each in right.items()
        }
        rows.append(AblationRow(system.recipe.name, accuracy, p, milliseconds))
    return rows


def _right(
    system: System, pictures: NDArray[np.uint8], faces: Faces
) -> dict[str, NDArray[np.bool_]]:
    answers = answers_by_protocol(run_model(system.model, pictures), faces)
    return {name: one.predicted == one.truth for name, one in answers.items()}


def ablation_text(rows: Sequence[AblationRow], title: str, processor: str) -> str:
    """The tables as Markdown: one a protocol, a network a row, a kind of pictures a column."""
    spoiling = "; ".join(f"{kind}: {does}" for kind, (does, _) in NOISES.items())
    lines = [
        "# What each step of the preparation brings",
        "",
        (
            f"{title}. Per cent right, int8, by the agent's runtime. {spoiling}. p: McNemar's "
            "exact test against the network with all steps, on the pictures as they are, not "
            f"corrected for the rows. Milliseconds: median on one thread of {processor}, in turns."
        ),
        "",
    ]
    kinds = (UNSPOILT, *NOISES)
    for protocol in rows[0].p:
        lines += [f"## {PROTOCOLS[protocol]}", ""]
        lines += [f"| network | {' | '.join(kinds)} | p | ms a face |", "|---" * 9 + "|"]
        for row in rows:
            shares = " | ".join(f"{100 * row.accuracy[kind][protocol]:.1f}" for kind in kinds)
            lines.append(
                f"| {row.name} | {shares} | {row.p[protocol]:.2g} | {row.milliseconds:.3f} |"
            )
        lines.append("")
    return "\n".join(lines)
