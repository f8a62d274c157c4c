"""The command ``folds``: a recipe trained once for each of several folds."""

from dataclasses import dataclass
from pathlib import Path

import click

from training.commands.options import (
    FILE,
    NEEDED_TO_TRAIN,
    RunOptions,
    learning_options,
    options_as,
    require,
    run_options,
    use_threads,
)
from training.errors import RecipeError

TABLE = "folds.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldsOptions(RunOptions):
    """Options of ``folds``: those of a run, how many folds, and the run on the fixed split."""

    count: int
    fixed: Path | None

    @property
    def folder(self) -> Path:
        """The folder of the runs: ``--out``, or ``runs/RECIPE-folds``."""
        return self.out or Path("runs") / f"{self.recipe.stem}-folds"


@click.command()
@run_options
@learning_options
@click.option(
    "--folds",
    "count",
    type=click.IntRange(2, 20),
    default=5,
    show_default=True,
    help="How many; each picture of Training is evaluated once.",
)
@click.option(
    "--fixed", type=FILE, help="Folder of the recipe's run on the data's own split, to set beside."
)
@options_as(FoldsOptions)
def folds(options: FoldsOptions) -> None:
    """Train a recipe once a fold of Training, and say mean and spread beside the fixed split.

    Given again it goes on: finished folds are loaded. Without --out all lie in runs/RECIPE-folds.
    """
    require(NEEDED_TO_TRAIN)
    use_threads(options.threads)
    from training.data.datasets import load_faces
    from training.files import write_whole
    from training.learning.recipe import recipe_kind
    from training.systems.folds import fixed_split, fold_runs, folds_text

    if recipe_kind(options.recipe) != "expression":
        raise RecipeError(f"{options.recipe}: only a recipe of kind expression has folds")
    card = _card_of_fixed(options.fixed)
    _warn_of_start(options.recipe)
    finished = fold_runs(options.recipe, options.request(), options.count)
    beside = None
    if card is not None:
        faces = load_faces(options.data, options.votes, cache=options.cache)
        beside = fixed_split(card, faces)
    text = folds_text(finished, beside)
    write_whole(options.folder / TABLE, (text + "\n").encode())
    click.echo(text)


def _warn_of_start(recipe: Path) -> None:
    from training.expression.recipe import ExpressionRecipe
    from training.learning.recipe import load_recipe

    start = load_recipe(recipe, ExpressionRecipe).start
    if start is not None:
        click.echo(
            f"warning: the recipe learns on from {start}, which may have learnt from the pictures "
            "that the folds are evaluated on",
            err=True,
        )


def _card_of_fixed(folder: Path | None) -> Path | None:
    """The card in the folder of a finished run."""
    if folder is None:
        return None
    cards = sorted(folder.glob("*.json"))
    if len(cards) != 1:
        raise RecipeError(
            f"--fixed {folder}: holds {len(cards)} cards where a finished run holds one; give the "
            "folder of the recipe's run"
        )
    return cards[0]
