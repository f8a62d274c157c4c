"""The commands of ``python -m training``. PyTorch is loaded only by those that train."""

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path

import click

from edge_agent.core.errors import AffectEdgeError
from training.commands.chain import chain
from training.commands.faces import faces_evaluate
from training.commands.measure import compare, evaluate, report
from training.commands.options import Command, data_options, require
from training.commands.pictures import crop_faces, explain
from training.errors import RecipeError
from training.learning.kinds import FitRequest

_NEEDED_TO_TRAIN = ("torch", "litert_torch", "ai_edge_quantizer", "sklearn")


def asks_to_learn(command: Command) -> Callable[..., None]:
    """Give a command the options that a :class:`FitRequest` is made of, and call it with the
    request first.
    """
    file = click.Path(path_type=Path)

    @click.option(
        "--recipe",
        type=file,
        required=True,
        help="TOML file that describes the model and its training.",
    )
    @click.option("--out", type=file, help="Folder of the run; runs/RECIPE if not given.")
    @click.option(
        "--limit",
        type=click.Choice(["small"]),
        help="small: a few steps, to try that everything works.",
    )
    @data_options
    @wraps(command)
    def called(
        recipe: Path,
        out: Path | None,
        limit: str | None,
        data: Path,
        votes: Path | None,
        cache: Path,
        device: str = "cpu",
        resume: bool = False,
        watts: float | None = None,
        **others: object,
    ) -> None:
        folder = Path("runs") / recipe.stem if out is None else out
        request = FitRequest(
            recipe, data, votes, folder, cache, limit is not None, resume, device, watts
        )
        command(request, **others)

    return called


def learning_options(command: Command) -> Command:
    """Give a command ``--device`` and ``--threads``."""
    threads = click.option(
        "--threads", type=click.IntRange(min=1), help="Processor cores to use; all if not given."
    )
    device = click.option(
        "--device",
        default="auto",
        show_default=True,
        help="cpu, cuda, or auto: the GPU where there is one.",
    )
    return device(threads(command))


def watts_option(command: Command) -> Command:
    """Give a command ``--watts``."""
    return click.option(
        "--watts",
        type=click.FloatRange(min=0, min_open=True),
        help="What the machine draws while it learns; the card then estimates the energy.",
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def app() -> None:
    """Train the models of Affect Edge, make them int8, and measure them."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)


@app.command()
@asks_to_learn
@learning_options
@watts_option
@click.option("--resume", is_flag=True, help="Go on from the last epoch saved in --out.")
def fit(request: FitRequest, threads: int | None) -> None:
    """Train the model of a recipe and write NAME.tflite (int8) and NAME.json."""
    require(_NEEDED_TO_TRAIN)
    _use_threads(threads)
    from training.learning.run import train

    click.echo(train(request))


@app.command("find-lr")
@asks_to_learn
@learning_options
@click.option(
    "--from", "least", type=float, default=1e-4, show_default=True, help="First learning rate."
)
@click.option(
    "--to", "most", type=float, default=3.0, show_default=True, help="Last learning rate."
)
@click.option("--steps", type=int, default=120, show_default=True, help="Batches to learn.")
def find_lr(
    request: FitRequest, threads: int | None, least: float, most: float, steps: int
) -> None:
    """Find a peak learning rate: learn while it rises, and see where the loss falls and where it
    diverges.
    """
    require(_NEEDED_TO_TRAIN)
    _use_threads(threads)
    from training.learning.run import search_lr

    suggested, picture = search_lr(request, least=least, most=most, steps=steps)
    click.echo(f"suggested schedule.peak_lr: {suggested:.3g} (see {picture})")


@app.command()
@asks_to_learn
@watts_option
def quantize(request: FitRequest) -> None:
    """Write the int8 model of a finished run again, from its last checkpoint."""
    require(_NEEDED_TO_TRAIN)
    from training.learning.run import train

    _refuse_unfinished(request.out / "checkpoint.pt", request.recipe)
    click.echo(train(replace(request, resume=True)))


for _command in (evaluate, compare, report, chain, explain, crop_faces, faces_evaluate):
    app.add_command(_command)


def main() -> None:
    """Run the command line; our own errors become one sentence and an exit code (1 failed, 2 wrong
    use).
    """
    try:
        app(prog_name="python -m training")
    except AffectEdgeError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2 if isinstance(error, RecipeError) else 1) from error


def _refuse_unfinished(checkpoint: Path, recipe: Path) -> None:
    from training.learning.checkpoint import epochs_left

    command = f"python -m training fit --recipe {recipe} --out {checkpoint.parent}"
    if not checkpoint.exists():
        raise RecipeError(
            f"{checkpoint.parent}: holds no {checkpoint.name}; train first with: {command}"
        )
    if left := epochs_left(checkpoint):
        raise RecipeError(
            f"{checkpoint}: {left} epochs are still to be done; go on with: {command} --resume"
        )


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
