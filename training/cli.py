"""The commands of ``python -m training``. PyTorch is loaded only by those that train."""

import json
import logging
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.errors import AffectEdgeError
from training.datasets import USAGES, load_faces
from training.errors import RecipeError, TrainingExtraMissing
from training.kinds import FitRequest, fitter
from training.recipe import recipe_kind

app = typer.Typer(
    name="training",
    help="Train the models of Affect Edge, make them int8, and measure them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_NEEDED_TO_TRAIN = ("torch", "litert_torch", "ai_edge_quantizer", "sklearn")
_NEEDED_TO_EVALUATE = ("sklearn",)

Data = Annotated[Path, typer.Option(help="FER2013 table (.csv, .csv.gz, .csv.xz), or a folder of pictures.")]
Votes = Annotated[Path | None, typer.Option(help="FER+ votes (fer2013new.csv) of the same rows.")]
Cache = Annotated[Path, typer.Option(help="Folder that keeps parsed tables, so that the next start is quick.")]
Recipe = Annotated[Path, typer.Option(help="TOML file that describes the model and its training.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the run; runs/RECIPE if not given.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor cores to use; all if not given.")]


class Limit(StrEnum):
    """How much of the data and of the schedule is used."""

    SMALL = "small"


Small = Annotated[Limit | None, typer.Option("--limit", help="small: a few steps, to try that everything works.")]


@app.callback()
def _describe() -> None:
    """Train the models of Affect Edge, make them int8, and measure them."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)


@app.command()
def fit(
    *,
    recipe: Recipe,
    data: Data,
    votes: Votes = None,
    out: Out = None,
    limit: Small = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last epoch saved in --out.")] = False,
    threads: Threads = None,
    cache: Cache = Path("runs/cache"),
) -> None:
    """Train the model of a recipe and write NAME.tflite (int8) and NAME.json."""
    _require(_NEEDED_TO_TRAIN)
    train = fitter(recipe_kind(recipe))
    _use_threads(threads)
    folder = out if out is not None else Path("runs") / recipe.stem
    request = FitRequest(recipe, data, votes, folder, cache, small=limit is Limit.SMALL, resume=resume)
    typer.echo(train(request))


@app.command()
def evaluate(
    *,
    model: Annotated[Path, typer.Argument(help="NAME.tflite, with NAME.json beside it.")],
    data: Data,
    votes: Votes = None,
    usage: Annotated[str, typer.Option(help=f"One of {', '.join(USAGES)}; a folder is used whole.")] = "PublicTest",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores of one inference.")] = 1,
    cache: Cache = Path("runs/cache"),
) -> None:
    """Judge a model file on labelled faces, through the runtime that the agent uses."""
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
        typer.echo(json.dumps({"model": str(model), "data": str(data), "usage": usage, **evaluation.as_json()}))
    else:
        typer.echo(evaluation_text(evaluation))


@app.command()
def quantize(
    *,
    recipe: Recipe,
    data: Data,
    votes: Votes = None,
    out: Out = None,
    limit: Small = None,
    cache: Cache = Path("runs/cache"),
) -> None:
    """Write the int8 model of a finished run again, from its last checkpoint."""
    _require(_NEEDED_TO_TRAIN)
    train = fitter(recipe_kind(recipe))
    folder = out if out is not None else Path("runs") / recipe.stem
    _refuse_unfinished(folder / "checkpoint.pt", recipe)
    typer.echo(train(FitRequest(recipe, data, votes, folder, cache, small=limit is Limit.SMALL, resume=True)))


def main() -> None:
    """Run the command line; our own errors become one sentence and an exit code (1 failed, 2 wrong use)."""
    try:
        app()
    except AffectEdgeError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2 if isinstance(error, RecipeError) else 1) from error


def _require(modules: tuple[str, ...]) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise TrainingExtraMissing(
            f"this needs {', '.join(missing)}, which the appliance itself does not; "
            "install it with: pip install 'affect-edge[training]'"
        )


def _refuse_unfinished(checkpoint: Path, recipe: Path) -> None:
    from training.fit import epochs_left

    command = f"python -m training fit --recipe {recipe} --out {checkpoint.parent}"
    if not checkpoint.exists():
        raise RecipeError(f"{checkpoint.parent}: holds no {checkpoint.name}; train first with: {command}")
    if left := epochs_left(checkpoint):
        raise RecipeError(f"{checkpoint}: {left} epochs are still to be done; go on with: {command} --resume")


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
