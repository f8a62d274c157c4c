"""The commands of ``python -m training``. PyTorch is loaded only by those that train."""

import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click

from edge_agent.core.command_line import Group
from edge_agent.core.errors import AffectEdgeError
from training.commands.measure import card, chain, compare, evaluate, report
from training.commands.options import (
    FILE,
    NEEDED_TO_TRAIN,
    RunOptions,
    learning_options,
    options_as,
    quiet_libraries,
    require,
    run_options,
    use_threads,
    watts_option,
)
from training.commands.pictures import (
    ck_plus,
    cover_faces,
    crop_faces,
    data_problems,
    explain,
    faces_evaluate,
    faces_groups,
    faces_scores,
    label,
    movements_evaluate,
)
from training.commands.train import ablate, folds
from training.commands.train import train as train_own
from training.errors import Interrupted, RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class FindLrOptions(RunOptions):
    """Options of ``find-lr``: those of a run, and the range of learning rates."""

    least: float
    most: float
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeOptions(RunOptions):
    """Options of ``quantize``: those of a run, and weights in the place of its checkpoint."""

    published: Path | None


@click.group(
    cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
def app() -> None:
    """Train the models of Affect Edge, make them int8, and measure them."""
    handler = logging.StreamHandler(sys.stderr)
    quiet_libraries(handler)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=[handler])


@app.command()
@run_options
@learning_options
@watts_option
@click.option("--resume", is_flag=True, help="Continue after the last epoch saved in --out.")
@click.option(
    "--unlabelled",
    type=FILE,
    multiple=True,
    help="Photograph, or folder of them, whose faces only the teachers label; repeatable.",
)
@options_as(RunOptions)
def fit(options: RunOptions) -> None:
    """Train the model of a recipe and write NAME.tflite (int8) and NAME.json."""
    require(NEEDED_TO_TRAIN)
    use_threads(options.threads)
    from training.learning.run import train

    try:
        card = train(options.request())
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(options)) from None
    click.echo(card)


@app.command("find-lr")
@run_options
@learning_options
@click.option(
    "--from", "least", type=float, default=1e-4, show_default=True, help="First learning rate."
)
@click.option(
    "--to", "most", type=float, default=3.0, show_default=True, help="Last learning rate."
)
@click.option("--steps", type=int, default=120, show_default=True, help="Batches to learn.")
@options_as(FindLrOptions)
def find_lr(options: FindLrOptions) -> None:
    """Find a peak learning rate: raise it batch by batch, and watch the loss.

    The table and the picture show where the loss falls fastest and where it diverges.
    """
    require(NEEDED_TO_TRAIN)
    use_threads(options.threads)
    from training.learning.range_test import RateRange, search_lr

    rates = RateRange(options.least, options.most, options.steps)
    suggested, picture = search_lr(options.request(), rates)
    click.echo(f"suggested schedule.peak_lr: {suggested:.3g} (see {picture})")


@app.command()
@run_options
@watts_option
@click.option(
    "--from",
    "published",
    type=FILE,
    help="Folder with weights alone, such as training/weights/expression-fast, in the place of a "
    "checkpoint in --out.",
)
@options_as(QuantizeOptions)
def quantize(options: QuantizeOptions) -> None:
    """Write the int8 model of a finished run again, from its last checkpoint."""
    require(NEEDED_TO_TRAIN)
    from training.learning.run import quantize_weights, train

    request = options.request()
    if options.published is not None:
        click.echo(quantize_weights(request, options.published))
        return
    _refuse_unfinished(request.out / "checkpoint.pt", request.recipe)
    click.echo(train(replace(request, resume=True)))


for _command in (
    *(
        label,
        data_problems,
        card,
        train_own,
        evaluate,
        compare,
        folds,
        ablate,
        report,
        chain,
        explain,
    ),
    *(crop_faces, cover_faces, ck_plus, faces_evaluate, faces_groups, faces_scores),
    movements_evaluate,
):
    app.add_command(_command)


def main() -> None:
    """Run the command line; one of our own errors becomes one sentence and an exit code.

    The code is 1 when a command failed, 2 when it was used in a wrong way, 130 after Ctrl-C.
    """
    try:
        app(prog_name="python -m training")
    except Interrupted as interruption:
        click.echo(f"\n{interruption}", err=True)
        raise SystemExit(130) from None
    except AffectEdgeError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2 if isinstance(error, RecipeError) else 1) from error


def _how_to_go_on(options: RunOptions) -> str:
    """Return what to do after Ctrl-C during ``fit``, in words."""
    from training.learning.checkpoint import CHECKPOINT

    if not (options.folder / CHECKPOINT).exists():
        return "Stopped before the first epoch was saved; nothing is lost but its beginning."
    return (
        f"Stopped. {options.folder} holds every finished epoch: give the same command again with "
        "--resume and it goes on."
    )


def _refuse_unfinished(checkpoint: Path, recipe: Path) -> None:
    from training.learning.checkpoint import epochs_left

    command = f"python -m training fit --recipe {recipe} --out {checkpoint.parent}"
    if not checkpoint.exists():
        raise RecipeError(
            f"{checkpoint.parent}: holds no {checkpoint.name}; train first with: {command}"
        )
    if left := epochs_left(checkpoint):
        raise RecipeError(
            f"{checkpoint}: {left} epochs are still to be done; continue with: {command} --resume"
        )
