"""The commands that measure finished models: ``evaluate``, ``compare`` and ``report``.

None of them needs PyTorch.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import click

from training.commands.options import (
    FILE,
    NEEDED_TO_TRAIN,
    FacesOptions,
    faces_options,
    json_option,
    optional_faces_options,
    options_as,
    require,
)
from training.data.datasets import USAGES, Faces, load_faces

_NEEDED = ("sklearn",)
_NEEDED_TO_DRAW = ("sklearn", "matplotlib")
_PAGES = Path("docs/models")

_usage_option = click.option(
    "--usage",
    default="PublicTest",
    show_default=True,
    help=f"One of {', '.join(USAGES)}; a folder is used whole.",
)

_cleaned_option = click.option(
    "--cleaned",
    is_flag=True,
    help="Only the pictures that training.data.cleaning leaves: no copies, labels people agree on.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """Options of ``evaluate``: a model and data, or two tables of another program's answers."""

    model: Path | None
    data: Path | None
    votes: Path | None
    cache: Path
    usage: str
    as_json: bool
    out: Path | None
    robust: bool
    covered: bool
    cleaned: bool
    threads: int
    predictions: Path | None
    truth: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions(FacesOptions):
    """Options of ``compare``: two models, or recipes."""

    first: Path | None
    second: Path | None
    recipes: tuple[Path, ...]
    runs: Path
    weights: Path | None
    half: str
    cleaned: bool
    out: Path | None
    usage: str
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions(FacesOptions):
    """Options of ``report``."""

    model: Path
    out: Path
    photos: Path | None
    labels: Path | None
    time_again: bool


@click.command()
@click.argument("model", type=FILE, required=False)
@optional_faces_options
@_usage_option
@json_option
@click.option("--out", type=FILE, help="Folder for figures (PNG) and tables (CSV).")
@click.option(
    "--robustness",
    "robust",
    is_flag=True,
    help="Also evaluate on shifted, scaled, rolled, dark … crops; slower.",
)
@click.option(
    "--covered",
    is_flag=True,
    help="Also evaluate with mouth, eyes, a half of the face, mask and glasses covered; slower.",
)
@_cleaned_option
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, help="Processor cores of one inference."
)
@click.option(
    "--predictions", type=FILE, help="Instead of MODEL: the answers of any program (predict.csv)."
)
@click.option("--truth", type=FILE, help="The right labels for --predictions (ground_truth.csv).")
@options_as(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Evaluate MODEL on labelled faces, through the runtime of the agent.

    MODEL is NAME.tflite, with NAME.json beside it. With --predictions and --truth, evaluate the
    answers of any other program.
    """
    if options.predictions is not None or options.truth is not None:
        _evaluate_tables(options)
    else:
        _evaluate_model(options)


@click.command()
@click.argument("first", type=FILE, required=False)
@click.argument("second", type=FILE, required=False)
@faces_options
@_usage_option
@json_option
@click.option(
    "--recipes",
    type=FILE,
    multiple=True,
    help="Instead of FIRST and SECOND: a recipe or a folder of them; may be given several times.",
)
@click.option(
    "--runs",
    type=FILE,
    default=Path("runs"),
    show_default=True,
    help="Folder of the recipes' runs; what is not finished there is trained.",
)
@click.option(
    "--weights",
    type=FILE,
    help="The base of the recipes that begin with one, or a folder that holds several.",
)
@click.option(
    "--half",
    type=click.Choice(["A", "B", "both"]),
    default="A",
    show_default=True,
    help="Which half of the split evaluates recipes; B is kept for the last evaluation.",
)
@_cleaned_option
@click.option("--out", type=FILE, help="Folder of the report of --recipes (systems.md, .html).")
@options_as(CompareOptions)
def compare(options: CompareOptions) -> None:
    """Compare two models on the same pictures, and test whether they differ by more than chance.

    With --recipes compare the runs of any number of recipes, and write a report of them all. A run
    that is not finished is trained first, or goes on.
    """
    if options.recipes:
        _compare_recipes(options)
        return
    if options.first is None or options.second is None:
        raise click.UsageError("give FIRST and SECOND, or --recipes")
    if options.out is not None or options.weights is not None:
        raise click.UsageError("--out and --weights belong to --recipes")
    require(_NEEDED)
    from training.measuring.compare import compare_files, comparison_text

    faces = _faces(options.data, options.votes, options.cache, options.cleaned)
    usage = _usage_of(options.data, options.usage)
    compared = faces if usage == "all" else faces.of_usage(usage)
    comparison = compare_files(options.first, options.second, compared)
    if options.as_json:
        head = {"data": str(options.data), "usage": usage}
        click.echo(json.dumps({**head, **comparison.as_json()}))
    else:
        click.echo(comparison_text(comparison))


@click.command()
@click.argument("model", type=FILE)
@faces_options
@click.option("--out", type=FILE, default=_PAGES, show_default=True, help="Folder of the pages.")
@click.option(
    "--photos",
    type=FILE,
    help="Also evaluate the whole chain on these photographs (zip archive or folder).",
)
@click.option(
    "--labels",
    type=FILE,
    help="Table with the columns file, emotion; the default is labels.csv among the photographs.",
)
@click.option(
    "--time",
    "time_again",
    is_flag=True,
    help="Measure the milliseconds again, although the card has them.",
)
@options_as(ReportOptions)
def report(options: ReportOptions) -> None:
    """Calibrate MODEL on half A of PublicTest, measure it, and write its card and page NAME.md."""
    require(_NEEDED_TO_DRAW)
    from training.data.labelled_photographs import LabelledPhotographs
    from training.publishing.report import write_report

    photographs = None
    if options.photos is not None:
        photographs = LabelledPhotographs(options.photos, options.labels)
    elif options.labels is not None:
        raise click.UsageError("--labels belong to --photos; give both, or neither")
    faces = load_faces(options.data, options.votes, cache=options.cache)
    page = write_report(
        options.model,
        faces,
        options.out,
        photographs=photographs,
        time_again=options.time_again,
    )
    click.echo(page)


def _compare_recipes(options: CompareOptions) -> None:
    if options.first is not None:
        raise click.UsageError("give FIRST and SECOND, or --recipes, not both")
    if options.as_json:
        raise click.UsageError("--json belongs to FIRST and SECOND; --recipes write a report")
    require(NEEDED_TO_TRAIN)
    from training.files import write_all
    from training.learning.kinds import FitRequest
    from training.systems.gather import gather, recipe_files
    from training.systems.protocol import compare_systems
    from training.systems.report import MARKDOWN, report_files

    recipes = recipe_files(options.recipes)
    out = options.out or options.runs / "systems"
    request = FitRequest(
        recipes[0],
        options.data,
        options.votes,
        out,
        options.cache,
        weights=options.weights,
        device="auto",
    )
    systems = gather(recipes, options.runs, request)
    faces = _faces(options.data, options.votes, options.cache, options.cleaned)
    usage = _usage_of(options.data, options.usage)
    title, evaluated = _half(
        faces if usage == "all" else faces.of_usage(usage), usage, options.half
    )
    if options.cleaned:
        title += ", cleaned"
    write_all(out, report_files(compare_systems(systems, evaluated, title), evaluated.pictures))
    click.echo(out / MARKDOWN)


def _half(faces: Faces, usage: str, half: str) -> tuple[str, Faces]:
    """The pictures that evaluate, and what they are called."""
    from training.measuring.calibration import in_half_a

    if half == "both":
        return f"All {len(faces):,} pictures of {usage}", faces
    in_a = in_half_a(faces.pictures)
    if half == "A":
        chosen = faces.take(in_a)
    else:
        chosen = faces.take(~in_a)
    return f"The {len(chosen):,} pictures of half {half} of {usage}", chosen


def _faces(data: Path, votes: Path | None, cache: Path, cleaned: bool) -> Faces:
    """The faces that are given, all or cleaned."""
    faces = load_faces(data, votes, cache=cache)
    if not cleaned:
        return faces
    from training.data.cleaning import cleaned as clean

    result = clean(faces)
    click.echo(f"cleaned: {result.as_text()}", err=True)
    return result.faces


def _usage_of(data: Path, usage: str) -> str:
    """The split to evaluate; a folder has no splits and is used whole."""
    return "all" if data.is_dir() else usage


def _evaluate_model(options: EvaluateOptions) -> None:
    if options.model is None or options.data is None:
        raise click.UsageError("give MODEL and --data, or --predictions and --truth")
    require(_NEEDED if options.out is None else _NEEDED_TO_DRAW)
    from edge_agent.vision.models.model import load_model
    from training.measuring.covered import covered_json, covered_rows, covered_text
    from training.measuring.measure import measure
    from training.measuring.tables import measured_text

    faces = _faces(options.data, options.votes, options.cache, options.cleaned)
    usage = _usage_of(options.data, options.usage)
    card = options.model.with_suffix(".json")
    model = load_model(card, kind="expression", threads=options.threads)
    measured = measure(model, faces, usage, robust=options.robust)
    if options.out is not None:
        from training.files import write_all
        from training.measuring.figures import artefacts

        write_all(options.out, artefacts(measured))
    figures = measured.as_json()
    texts = [measured_text(measured)]
    if options.covered:
        rows = covered_rows(model, faces if usage == "all" else faces.of_usage(usage))
        figures["covered"] = covered_json(rows)
        texts.append(covered_text(rows))
    if options.as_json:
        head = {"model": str(options.model), "data": str(options.data), "usage": usage}
        click.echo(json.dumps({**head, **figures}))
    else:
        click.echo("\n\n".join(texts))


def _evaluate_tables(options: EvaluateOptions) -> None:
    predictions = options.predictions
    truth = options.truth
    if predictions is None or truth is None or options.model or options.data:
        raise click.UsageError(
            "give --predictions and --truth together, and then neither MODEL nor --data"
        )
    if options.out is not None or options.robust or options.covered or options.cleaned:
        raise click.UsageError(
            "--out, --robustness, --covered and --cleaned need a MODEL; leave them out with "
            "--predictions"
        )
    require(_NEEDED)
    from training.measuring.predictions import evaluate_tables

    evaluation = evaluate_tables(predictions, truth)
    if options.as_json:
        head = {"predictions": str(predictions), "truth": str(truth)}
        click.echo(json.dumps({**head, **evaluation.as_json()}))
    else:
        click.echo(evaluation.as_text())
