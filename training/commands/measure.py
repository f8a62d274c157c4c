"""The commands that measure finished models: ``evaluate``, ``compare`` and ``report``.

None of them needs PyTorch.
"""

import json
from pathlib import Path

import click

from training.commands.options import data_options, optional_data_options, require
from training.data.datasets import USAGES, Faces, load_faces

_NEEDED = ("sklearn",)
_NEEDED_TO_DRAW = ("sklearn", "matplotlib")
_FILE = click.Path(path_type=Path)
_PAGES = Path("docs/models")

_usage_option = click.option(
    "--usage",
    default="PublicTest",
    show_default=True,
    help=f"One of {', '.join(USAGES)}; a folder is used whole.",
)
_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
)


@click.command()
@click.argument("model", type=_FILE, required=False)
@optional_data_options
@_usage_option
@_json_option
@click.option("--out", type=_FILE, help="Folder for figures (PNG) and tables (CSV).")
@click.option(
    "--robustness",
    "robust",
    is_flag=True,
    help="Also judge shifted, scaled, rolled, dark … crops; slower.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, help="Processor cores of one inference."
)
@click.option(
    "--predictions", type=_FILE, help="Instead of MODEL: the answers of any program (predict.csv)."
)
@click.option("--truth", type=_FILE, help="What is right, for --predictions (ground_truth.csv).")
def evaluate(
    model: Path | None,
    data: Path | None,
    votes: Path | None,
    cache: Path,
    usage: str,
    as_json: bool,
    out: Path | None,
    robust: bool,
    threads: int,
    predictions: Path | None,
    truth: Path | None,
) -> None:
    """Judge MODEL (NAME.tflite, with NAME.json beside it) on labelled faces, through the agent's
    runtime.

    Or, with --predictions and --truth, the answers of any other program.
    """
    if predictions is not None or truth is not None:
        if predictions is None or truth is None or model is not None or data is not None:
            raise click.UsageError(
                "give --predictions and --truth together, and then neither MODEL nor --data"
            )
        if out is not None or robust:
            raise click.UsageError(
                "--out and --robustness need a MODEL; leave them out with --predictions"
            )
        _evaluate_tables(predictions, truth, as_json=as_json)
        return
    if model is None or data is None:
        raise click.UsageError("give MODEL and --data, or --predictions and --truth")
    require(_NEEDED if out is None else _NEEDED_TO_DRAW)
    from edge_agent.vision.models.model import load_model
    from training.measuring.measure import measure
    from training.measuring.tables import measured_text

    faces, usage = _judged(data, votes, cache, usage)
    loaded = load_model(model.with_suffix(".json"), kind="expression", threads=threads)
    measured = measure(loaded, faces, usage, robust=robust)
    if out is not None:
        from training.files import write_all
        from training.measuring.figures import artefacts

        write_all(out, artefacts(measured))
    if as_json:
        found = {"model": str(model), "data": str(data), "usage": usage, **measured.as_json()}
        click.echo(json.dumps(found))
    else:
        click.echo(measured_text(measured))


@click.command()
@click.argument("first", type=_FILE)
@click.argument("second", type=_FILE)
@data_options
@_usage_option
@_json_option
def compare(
    first: Path,
    second: Path,
    data: Path,
    votes: Path | None,
    cache: Path,
    usage: str,
    as_json: bool,
) -> None:
    """Judge two models on the same pictures, side by side, and test whether they differ in more
    than luck.
    """
    require(_NEEDED)
    from training.measuring.compare import compare_files, comparison_text

    faces, usage = _judged(data, votes, cache, usage)
    comparison = compare_files(first, second, faces if usage == "all" else faces.of_usage(usage))
    if as_json:
        click.echo(json.dumps({"data": str(data), "usage": usage, **comparison.as_json()}))
    else:
        click.echo(comparison_text(comparison))


@click.command()
@click.argument("model", type=_FILE)
@data_options
@click.option("--out", type=_FILE, default=_PAGES, show_default=True, help="Folder of the pages.")
@click.option(
    "--photos",
    type=_FILE,
    help="Also judge the whole chain on these photographs (zip archive or folder).",
)
@click.option(
    "--labels",
    type=_FILE,
    help="Table with the columns file, emotion; labels.csv among the photographs.",
)
@click.option(
    "--time",
    "time_again",
    is_flag=True,
    help="Measure the milliseconds again, though the card has them.",
)
def report(
    model: Path,
    data: Path,
    votes: Path | None,
    cache: Path,
    out: Path,
    photos: Path | None,
    labels: Path | None,
    time_again: bool,
) -> None:
    """Calibrate MODEL on half A of PublicTest, measure everything, rewrite its card and write its
    page NAME.md.
    """
    require(_NEEDED_TO_DRAW)
    from training.data.labelled_photographs import LabelledPhotographs
    from training.publishing.report import write_report

    if labels is not None and photos is None:
        raise click.UsageError("--labels belong to --photos; give both, or neither")
    photographs = None if photos is None else LabelledPhotographs(photos, labels)
    faces = load_faces(data, votes, cache=cache)
    click.echo(write_report(model, faces, out, photographs=photographs, time_again=time_again))


def _judged(data: Path, votes: Path | None, cache: Path, usage: str) -> tuple[Faces, str]:
    """All faces, and the split that is judged; a folder has none and is judged whole."""
    faces = load_faces(data, votes, cache=cache)
    return faces, "all" if data.is_dir() else usage


def _evaluate_tables(predictions: Path, truth: Path, *, as_json: bool) -> None:
    require(_NEEDED)
    from training.measuring.predictions import evaluate_tables

    evaluation = evaluate_tables(predictions, truth)
    if as_json:
        click.echo(
            json.dumps(
                {"predictions": str(predictions), "truth": str(truth), **evaluation.as_json()}
            )
        )
    else:
        click.echo(evaluation.as_text())
