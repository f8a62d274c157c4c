"""The commands of ``python -m training``. PyTorch is loaded only by those that train."""

import json
import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click

from edge_agent.errors import AffectEdgeError
from training.datasets import USAGES, load_faces
from training.errors import RecipeError, TrainingExtraMissing
from training.kinds import FitRequest, fitter
from training.recipe import recipe_kind

_NEEDED_TO_TRAIN = ("torch", "litert_torch", "ai_edge_quantizer", "sklearn")
_NEEDED_TO_EVALUATE = ("sklearn",)
_CACHE = Path("runs/cache")

Command = TypeVar("Command", bound=Callable[..., None])


def data_options(command: Command) -> Command:
    """Give a command ``--data``, ``--votes`` and ``--cache``."""
    file = click.Path(path_type=Path)
    cache = click.option(
        "--cache", type=file, default=_CACHE, help="Folder that keeps parsed tables, so that the next start is quick."
    )
    votes = click.option("--votes", type=file, help="FER+ votes (fer2013new.csv) of the same rows.")
    data = click.option(
        "--data", type=file, required=True, help="FER2013 table (.csv, .csv.gz, .csv.xz), or a folder of pictures."
    )
    return data(votes(cache(command)))


def run_options(command: Command) -> Command:
    """Give a command ``--recipe``, ``--out`` and ``--limit``."""
    file = click.Path(path_type=Path)
    limit = click.option(
        "--limit", type=click.Choice(["small"]), help="small: a few steps, to try that everything works."
    )
    out = click.option("--out", type=file, help="Folder of the run; runs/RECIPE if not given.")
    recipe = click.option(
        "--recipe", type=file, required=True, help="TOML file that describes the model and its training."
    )
    return recipe(out(limit(command)))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def app() -> None:
    """Train the models of Affect Edge, make them int8, and measure them."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)


@app.command()
@run_options
@data_options
@click.option("--resume", is_flag=True, help="Go on from the last epoch saved in --out.")
@click.option("--threads", type=click.IntRange(min=1), help="Processor cores to use; all if not given.")
def fit(
    recipe: Path,
    out: Path | None,
    limit: str | None,
    data: Path,
    votes: Path | None,
    cache: Path,
    resume: bool,
    threads: int | None,
) -> None:
    """Train the model of a recipe and write NAME.tflite (int8) and NAME.json."""
    _require(_NEEDED_TO_TRAIN)
    train = fitter(recipe_kind(recipe))
    _use_threads(threads)
    folder = out if out is not None else Path("runs") / recipe.stem
    click.echo(train(FitRequest(recipe, data, votes, folder, cache, small=limit is not None, resume=resume)))


@app.command()
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@click.option(
    "--usage", default="PublicTest", show_default=True, help=f"One of {', '.join(USAGES)}; a folder is used whole."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--threads", type=click.IntRange(min=1), default=1, help="Processor cores of one inference.")
def evaluate(model: Path, data: Path, votes: Path | None, cache: Path, usage: str, as_json: bool, threads: int) -> None:
    """Judge MODEL (NAME.tflite, with NAME.json beside it) on labelled faces, through the agent's runtime."""
    _require(_NEEDED_TO_EVALUATE)
    from training.evaluate import evaluate_file
    from training.report import evaluation_text

    faces = load_faces(data, votes, cache=cache)
    if data.is_dir():
        usage = "all"
    else:
        faces = faces.of_usage(usage)
    evaluation = evaluate_file(model, faces, threads=threads)
    if as_json:
        click.echo(json.dumps({"model": str(model), "data": str(data), "usage": usage, **evaluation.as_json()}))
    else:
        click.echo(evaluation_text(evaluation))


@app.command()
@run_options
@data_options
def quantize(recipe: Path, out: Path | None, limit: str | None, data: Path, votes: Path | None, cache: Path) -> None:
    """Write the int8 model of a finished run again, from its last checkpoint."""
    _require(_NEEDED_TO_TRAIN)
    train = fitter(recipe_kind(recipe))
    folder = out if out is not None else Path("runs") / recipe.stem
    _refuse_unfinished(folder / "checkpoint.pt", recipe)
    click.echo(train(FitRequest(recipe, data, votes, folder, cache, small=limit is not None, resume=True)))


def main() -> None:
    """Run the command line; our own errors become one sentence and an exit code (1 failed, 2 wrong use)."""
    try:
        app(prog_name="python -m training")
    except AffectEdgeError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2 if isinstance(error, RecipeError) else 1) from error


def _require(modules: tuple[str, ...]) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise TrainingExtraMissing(
            f"this needs {', '.join(missing)}, which the appliance itself does not; "
            "install it with: pip install 'affect-edge[training]'"
        )


def _refuse_unfinished(checkpoint: Path, recipe: Path) -> None:
    from training.checkpoint import epochs_left

    command = f"python -m training fit --recipe {recipe} --out {checkpoint.parent}"
    if not checkpoint.exists():
        raise RecipeError(f"{checkpoint.parent}: holds no {checkpoint.name}; train first with: {command}")
    if left := epochs_left(checkpoint):
        raise RecipeError(f"{checkpoint}: {left} epochs are still to be done; go on with: {command} --resume")


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
