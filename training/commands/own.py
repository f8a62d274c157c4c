"""The command ``train``: from one's own photographs to a model beside the shipped one."""

from dataclasses import dataclass
from pathlib import Path

import click

from training.commands.options import (
    FILE,
    NEEDED_TO_TRAIN,
    learning_options,
    options_as,
    require,
    use_threads,
    without_option,
)
from training.errors import Interrupted, RecipeError
from training.learning.kinds import FitRequest

RECIPE = Path(__file__).parents[1] / "recipes" / "own-faces.toml"


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


@click.command()
@click.argument("photographs", type=FILE)
@click.option(
    "--out",
    type=FILE,
    default=Path("runs/own"),
    show_default=True,
    help="Folder for faces, run, model and report.",
)
@click.option(
    "--by-label",
    "labels",
    type=FILE,
    help="CSV with columns file, emotion, instead of subfolders.",
)
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
    from training.files import write_whole
    from training.own.classes import own_classes
    from training.own.own_model import train_own
    from training.own.own_report import PAGE, report_page, report_text

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
    from training.files import write_whole
    from training.own.classes import train_classes
    from training.own.classes_report import classes_page, classes_text
    from training.own.own_report import PAGE

    if options.without is not None or options.recipe != RECIPE:
        raise RecipeError(
            f"classes of your own ({', '.join(classes)}) are learnt without --recipe and --without"
        )
    made = train_classes(options.photographs, options.out, classes)
    write_whole(options.out / PAGE, classes_page(made))
    click.echo(classes_text(made))
    click.echo(f"The report: {options.out / PAGE}")
