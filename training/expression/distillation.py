"""The answers of the teachers, finished runs, computed once and kept for every student."""

import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from zipfile import BadZipFile

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.lessons import Lessons
from training.errors import RecipeError
from training.expression.augment import Augmentation, augment
from training.expression.recipe import ExpressionRecipe
from training.learning.checkpoint import averaged_weights
from training.learning.precision import autocast
from training.learning.recipe import RECIPE, load_recipe
from training.models.expression_network import ExpressionNetwork

log = logging.getLogger(__name__)

_BATCH = 256


@dataclass(frozen=True, slots=True)
class View:
    """One changed version of every picture, with the teachers' answers.

    ``pictures``
        uint8, N × 48 × 48.
    ``expression``, ``fer2013``
        float16, N × 8 and N × 7: logarithms of the teachers' mean probabilities for the picture and
        its mirror image.
    """

    pictures: NDArray[np.uint8]
    expression: NDArray[np.float16]
    fer2013: NDArray[np.float16]


class Views:
    """Changed versions of each picture and the teachers' answers for them.

    Made when first asked for.

    Args:
        learn: what is learnt; its order is that of every view.
        teachers: folders of finished runs.
        how: bounds of the changes.
        count: versions in all.
        seed: of the changes.
        folder: where they are kept; one version of FER2013's training pictures takes 65 MB.

    Raises:
        RecipeError: when a teacher cannot be read.
    """

    def __init__(
        self,
        learn: Lessons,
        teachers: Sequence[Path],
        how: Augmentation,
        *,
        count: int,
        seed: int,
        folder: Path,
    ) -> None:
        self.count = count
        self._pictures = learn.pictures
        self._how = how
        self._seed = seed
        self._teachers = [load_run(teacher) for teacher in teachers]
        key = hashlib.sha256(
            learn.pictures.tobytes() + f"{how.model_dump()}|{seed}|mirrored, too".encode()
        )
        for network, _ in self._teachers:
            key.update(_fingerprint(network))
        self._folder = folder / f"views-{key.hexdigest()[:16]}"

    def view(self, number: int) -> View:
        """The version of that number, 0 … ``count`` − 1.

        Raises:
            RecipeError: when it cannot be kept.
        """
        path = self._folder / f"{number:02}.npz"
        try:
            with path.open("rb") as file, np.load(file) as held:
                return View(held["pictures"], held["expression"], held["fer2013"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            pass  # not there yet, or cut off: it is made again
        made = self._make(number)
        part = path.with_suffix(f".{os.getpid()}.part.npz")  # two students may ask at the same time
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            np.savez(part, pictures=made.pictures, expression=made.expression, fer2013=made.fer2013)
            part.replace(path)
        except OSError as error:
            raise RecipeError(
                f"{path}: cannot be written ({error.strerror}); make room or choose --cache"
            ) from error
        return made

    def _make(self, number: int) -> View:
        generator = torch.Generator().manual_seed(self._seed * 1009 + number)
        parts: list[tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.float16]]] = []
        chunks: tuple[Tensor, ...] = torch.split(
            torch.from_numpy(self._pictures).unsqueeze(1), _BATCH
        )
        label = f"asking the teachers, version {number + 1} of {self.count}"
        log.info(label)
        with click.progressbar(
            chunks, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as progress:
            for chunk in progress:
                changed = (
                    (augment(chunk.float() / 255, self._how, generator) * 255)
                    .round()
                    .to(torch.uint8)
                )
                expression, fer2013 = self._ask(changed.float() / 255)
                parts.append((changed.squeeze(1).numpy(), expression, fer2013))
        pictures, expressions, classes = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return View(pictures, expressions, classes)

    def _ask(self, pictures: Tensor) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        heads: list[list[Tensor]] = [[], []]
        for (network, recipe), seen in product(self._teachers, (pictures, pictures.flip(-1))):
            with torch.no_grad(), autocast(torch.device("cpu"), bfloat16=True):
                answers = network(
                    recipe.as_input(seen).contiguous(memory_format=torch.channels_last)
                )
            for head, logits in zip(heads, answers, strict=True):
                head.append(logits.float().softmax(dim=1))
        first, second = (
            torch.stack(head).mean(dim=0).clamp(min=1e-7).log().half().numpy() for head in heads
        )
        return first, second


def _fingerprint(network: ExpressionNetwork) -> bytes:
    """Bytes that change with the weights."""
    return b"".join(
        weight.contiguous().numpy().tobytes() for weight in network.state_dict().values()
    )


def load_run(
    folder: Path, recipe_file: Path | None = None
) -> tuple[ExpressionNetwork, ExpressionRecipe]:
    """The averaged network of a run, in eval mode, and the recipe, which says what it sees.

    Args:
        folder: of the run.
        recipe_file: for a folder that keeps no copy of its recipe.

    Raises:
        RecipeError: when there are no recipe or weights, or they do not belong together.
    """
    file = folder / RECIPE if recipe_file is None else recipe_file
    recipe = load_recipe(file, ExpressionRecipe)
    network = recipe.build_network()
    try:
        network.load_state_dict(averaged_weights(folder))
    except RuntimeError as error:
        raise RecipeError(
            f"{folder}: its weights belong to another network than {file.name} describes"
        ) from error
    return network.to(memory_format=torch.channels_last).eval(), recipe  # type: ignore[call-overload]


def soften(logarithms: NDArray[np.float16], temperature: float) -> Tensor:
    """Logarithms of probabilities → float32 probabilities, softened: softmax(log p / T)."""
    softened: Tensor = torch.softmax(torch.from_numpy(logarithms).float() / temperature, dim=1)
    return softened
