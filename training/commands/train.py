"""Commands that train more than once: ``train`` on own photographs, ``folds``, ``ablate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from edge_agent.core.command_line import Command
from training.commands.options import (
    FILE,
    NEEDED_TO_TRAIN,
    FacesOptions,
    RunOptions,
    by_label_option,
    faces_options,
    learning_options,
    options_as,
    require,
    run_options,
    use_threads,
    without_option,
)
from training.errors import Interrupted, RecipeError
from training.learning.kinds import FitRequest

RECIPE = Path(__file__).parents[1] / "recipes" / "own-faces.toml"
TABLE = "folds.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of ``train``."""

    photographs: Path
    out: Path
    labels: Path | None
    recipe: Path
    without: Path | None
    device: str
    threads: int | None


@click.command(cls=Command)
@click.argument("photographs", type=FILE)
@click.option(
    "--out",
    type=FILE,
    default=Path("runs/own"),
    show_default=True,
    help="Folder for faces, run, model and report.",
)
@by_label_option
@click.option(
    "--recipe", type=FILE, default=RECIPE, show_default="own-faces", help="How it is trained."
)
@without_option
@learning_options
@options_as(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train on your own photographs, and say whether the model is better than the shipped one.

    PHOTOGRAPHS is a folder with a subfolder for each category. The faces are cut out as the agent
    does, what is doubtful about them is said, a part is set aside that fits nothing, and by it the
    new model is judged beside the shipped one. Given again, it goes on where it stopped.

    Subfolders of other names (smiling, not-smiling) are classes of your own: a layer is learnt on
    the shipped quick network, and model and report say how well. The appliance cannot use it.
    """
    require(NEEDED_TO_TRAIN)
    use_threads(options.threads)
    from training.errors import write_whole
    from training.expression.own import PAGE, own_classes, report_page, report_text, train_own

    if options.labels is None and (classes := own_classes(options.photographs)):
        _train_classes(options, classes)
        return
    request = FitRequest(
        recipe=options.recipe,
        data=options.photographs,
        votes=None,
        out=options.out,
        cache=options.out / "cache",
        without=options.without,
        device=options.device,
    )
    try:
        own = train_own(options.photographs, request, options.labels)
    except KeyboardInterrupt:
        raise Interrupted("Stopped. Give the same command again and it goes on.") from None
    page = options.out / PAGE
    write_whole(page, report_page(own))
    click.echo(report_text(own))
    click.echo(f"The report: {page}")


def _train_classes(options: TrainOptions, classes: tuple[str, ...]) -> None:
    from training.errors import write_whole
    from training.expression.own import PAGE, classes_page, classes_text, train_classes

    if options.without is not None or options.recipe != RECIPE:
        raise RecipeError(
            f"classes of your own ({', '.join(classes)}) are learnt without --recipe and --without"
        )
    made = train_classes(options.photographs, options.out, classes)
    write_whole(options.out / PAGE, classes_page(made))
    click.echo(classes_text(made))
    click.echo(f"The report: {options.out / PAGE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldsOptions(RunOptions):
    """Options of ``folds``: those of a run, how many folds, and the run on the fixed split."""

    count: int
    fixed: Path | None

    @property
    def folder(self) -> Path:
        """The folder of the runs: ``--out``, or ``runs/RECIPE-folds``."""
        return self.out or Path("runs") / f"{self.recipe.stem}-folds"


@click.command(cls=Command)
@run_options
@learning_options
@click.option(
    "--folds",
    "count",
    type=click.IntRange(2, 20),
    default=5,
    show_default=True,
    help="Number of folds; each picture of Training is evaluated once.",
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
    from training.errors import write_whole
    from training.expression.systems import fixed_split, fold_runs, folds_text
    from training.learning.recipe import recipe_kind

    if recipe_kind(options.recipe) != "expression":
        raise RecipeError(f"{options.recipe}: only a recipe of kind expression has folds")
    card = _card_of_fixed(options.fixed)
    _warn_of_start(options.recipe)
    finished = fold_runs(options.recipe, options.request(), options.count)
    beside = None
    if card is not None:
        faces = options.load()
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
    """Return the card in the folder of a finished run."""
    if folder is None:
        return None
    cards = sorted(folder.glob("*.json"))
    if len(cards) != 1:
        raise RecipeError(
            f"--fixed {folder}: holds {len(cards)} cards where a finished run holds one; give the "
            "folder of the recipe's run"
        )
    return cards[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblateOptions(FacesOptions):
    """Options of ``ablate``."""

    run: Path
    epochs: int
    out: Path | None
    device: str
    threads: int | None

    @property
    def folder(self) -> Path:
        """The folder of the table and the recipes: ``--out``, or ``RUN-ablation``."""
        return self.out or self.run.with_name(f"{self.run.name}-ablation")


@click.command(cls=Command)
@click.argument("run", type=FILE)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="That each network learns on from RUN.",
)
@click.option("--out", type=FILE, help="Folder of the table; the default is RUN-ablation.")
@faces_options
@learning_options
@options_as(AblateOptions)
def ablate(options: AblateOptions) -> None:
    """Learn on from the finished RUN without each step of its preparation, and compare.

    Each network stands in a run folder beside RUN; finished ones are loaded, so that the command
    can be given again. All are evaluated on half A of PublicTest, as it is and spoilt.
    """
    require(NEEDED_TO_TRAIN)
    use_threads(options.threads)
    from edge_agent.appliance.bench import this_processor
    from training.errors import write_whole
    from training.expression.systems import ablation_rows, ablation_text, gather, write_variants
    from training.learning.kinds import FitRequest
    from training.report.calibration import in_half_a

    run = options.run.resolve()
    recipes = write_variants(run, options.epochs, options.folder)
    request = FitRequest(
        recipes[0], options.data, options.votes, run, options.cache, device=options.device
    )
    systems = gather(recipes, run.parent, request)
    public = options.load().of_usage("PublicTest")
    half = public.take(in_half_a(public.pictures))
    title = (
        f"{len(half):,} pictures of half A of PublicTest; each network learnt {options.epochs} "
        f"epochs on from {run.name}"
    )
    text = ablation_text(ablation_rows(systems, half), title, this_processor().describe())
    table = options.folder / "ablation.md"
    write_whole(table, text.encode())
    click.echo(table)
