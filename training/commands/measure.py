"""Commands that measure finished models: evaluate, compare, report, chain, card.

None of them needs PyTorch, but for ``compare --recipes``, which trains.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import click

from edge_agent.core.command_line import Command
from edge_agent.core.expression import Prior
from edge_agent.vision.align import EXPRESSION_CROP
from training.commands.options import (
    FILE,
    NEEDED_TO_TRAIN,
    FacesOptions,
    OptionalFacesOptions,
    agreement_of,
    coding_of,
    faces_options,
    groups_option,
    json_option,
    optional_faces_options,
    options_as,
    readings_options,
    require,
)
from training.data.datasets import EXPRESSIONS, USAGES, Faces, load_faces, split_tested
from training.errors import DataError
from training.learning.recipe import RECIPE

_NEEDED = ("sklearn",)
_NEEDED_TO_DRAW = ("sklearn", "matplotlib")
_PAGES = Path("docs/models")

TESTED = "tested"
"""The part of a folder of faces that training sets aside, as the cards call it."""

_usage_option = click.option(
    "--usage",
    default="PublicTest",
    show_default=True,
    help=f"One of {', '.join(USAGES)}. A folder is used whole, but with {TESTED}: only the faces "
    "that `train` and `fit` set aside, of which the model learned nothing.",
)

_labels_option = click.option(
    "--labels",
    type=FILE,
    help="Table with the columns file, emotion; the default is labels.csv among the photographs.",
)

_prior_option = click.option(
    "--prior",
    type=click.Choice(get_args(Prior)),
    default="data",
    show_default=True,
    help="How common the categories are taken to be, as vision.prior on the device.",
)

_cleaned_option = click.option(
    "--cleaned",
    is_flag=True,
    help="Use only pictures that training.data.fer keeps: no copies, labels that people agree on.",
)
_LEARNED = (
    "{model} learned from a folder of faces. If these are among them, its figures are too good: "
    f"--usage {TESTED} takes only those that training set aside."
)
_NORMALISATIONS = ("0..255", "0..1", "-1..1", "fer2013")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions(OptionalFacesOptions):
    """Options of ``evaluate``: a model and data, or two tables of another program's answers."""

    model: Path | None
    usage: str
    as_json: bool
    out: Path | None
    robust: bool
    covered: bool
    cleaned: bool
    prior: Prior
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
    prior: Prior
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
    readings: Path | None
    sources: Path | None
    groups: Path | None
    time_again: bool


@click.command(cls=Command)
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
@_prior_option
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

    MODEL is NAME.tflite with NAME.json beside it, or the name of a shipped model. With
    --predictions and --truth, evaluate the answers of any other program.
    """
    if options.predictions is not None or options.truth is not None:
        _evaluate_tables(options)
    else:
        _evaluate_model(options)


@click.command(cls=Command)
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
@_prior_option
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
    from training.report.compare import compare_files, comparison_text

    faces = _faces(options.data, options.votes, options.cache, options.cleaned)
    faces = _set_aside(faces, options, options.first, options.second)
    usage = _usage_of(options.data, options.usage)
    evaluated = _split(faces, usage)
    comparison = compare_files(options.first, options.second, evaluated, options.prior)
    if options.as_json:
        head = {"data": str(options.data), "usage": usage}
        click.echo(json.dumps({**head, **comparison.as_json()}))
    else:
        click.echo(comparison_text(comparison))


@click.command(cls=Command)
@click.argument("model", type=FILE)
@faces_options
@click.option("--out", type=FILE, default=_PAGES, show_default=True, help="Folder of the pages.")
@click.option(
    "--photos",
    type=FILE,
    help="Also evaluate the whole chain on these photographs (zip archive or folder).",
)
@_labels_option
@readings_options
@groups_option
@click.option(
    "--time",
    "time_again",
    is_flag=True,
    help="Measure the milliseconds again, although the card has them.",
)
@options_as(ReportOptions)
def report(options: ReportOptions) -> None:
    """Calibrate MODEL on half A of PublicTest, measure it, and write its card and page NAME.md.

    With --readings, a prior is fitted on half A of the photographs, and half B judges; with
    --groups, people are compared by apparent sex and skin.
    """
    require(_NEEDED_TO_DRAW)
    from training.data.photographs import LabelledPhotographs
    from training.report.publish import write_report

    agreement = agreement_of(options.readings, options.sources, options.labels)
    coding = coding_of(options.groups, agreement)
    photographs = None
    if options.photos is not None:
        photographs = LabelledPhotographs(options.photos, options.labels, agreement)
    elif options.labels is not None or agreement is not None:
        word = "--labels" if agreement is None else "--readings"
        raise click.UsageError(f"{word} belong to --photos; give both, or neither")
    faces = options.load()
    page = write_report(
        options.model,
        faces,
        options.out,
        photographs=photographs,
        agreement=agreement,
        coding=coding,
        time_again=options.time_again,
    )
    click.echo(page)


def _compare_recipes(options: CompareOptions) -> None:
    if options.first is not None:
        raise click.UsageError("give FIRST and SECOND, or --recipes, not both")
    if options.as_json:
        raise click.UsageError("--json belongs to FIRST and SECOND; --recipes write a report")
    if options.prior != "data":
        raise click.UsageError("--prior belongs to FIRST and SECOND; leave it out with --recipes")
    require(NEEDED_TO_TRAIN)
    from training.errors import write_all
    from training.expression.systems import (
        MARKDOWN,
        compare_systems,
        gather,
        recipe_files,
        report_files,
    )
    from training.learning.kinds import FitRequest

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
    title, evaluated = _half(_split(faces, usage), usage, options.half)
    if options.cleaned:
        title += ", cleaned"
    write_all(out, report_files(compare_systems(systems, evaluated, title), evaluated.pictures))
    click.echo(out / MARKDOWN)


def _half(faces: Faces, usage: str, half: str) -> tuple[str, Faces]:
    """Return the pictures that evaluate, and what they are called."""
    from training.report.calibration import in_half_a

    if half == "both":
        return f"All {len(faces):,} pictures of {usage}", faces
    chosen = faces.take(in_half_a(faces.pictures) == (half == "A"))
    return f"The {len(chosen):,} pictures of half {half} of {usage}", chosen


def _faces(data: Path, votes: Path | None, cache: Path, cleaned: bool) -> Faces:
    """Return the faces that are given, all or cleaned."""
    faces = load_faces(data, votes, cache=cache)
    if not cleaned:
        return faces
    from training.data.fer import clean

    result = clean(faces)
    click.echo(f"cleaned: {result.as_text()}", err=True)
    return result.faces


def _usage_of(data: Path, usage: str) -> str:
    """Return the split to evaluate; a folder is used whole, after :func:`_set_aside`."""
    return "all" if data.is_dir() else usage


def _set_aside(faces: Faces, options: EvaluateOptions | CompareOptions, *models: Path) -> Faces:
    """Return the faces of a folder that training set aside, where those are asked for.

    Otherwise warn of a model that may have learned from the faces that it is measured by.
    """
    shares = {model: share for model in models if (share := _share_set_aside(model))}
    if options.usage != TESTED:
        if options.data is not None and options.data.is_dir():
            for model in shares:
                click.echo(_LEARNED.format(model=model), err=True)
        return faces
    if options.data is None or not options.data.is_dir() or not shares:
        raise DataError(
            f"--usage {TESTED}: is for a folder of faces and a model in the folder of its run, "
            f"whose {RECIPE} sets a part of them aside (data.tested)"
        )
    return split_tested(faces.without_blank(), min(shares.values()))[1]


def _share_set_aside(model: Path) -> float:
    """Return the share of its faces that the run of a model set aside; 0: none, or no run."""
    recipe = model.parent / RECIPE
    if not recipe.is_file():
        return 0.0
    return float(tomllib.loads(recipe.read_text("utf-8")).get("data", {}).get("tested", 0.0))


def _split(faces: Faces, usage: str) -> Faces:
    return faces if usage == "all" else faces.of_usage(usage)


def _evaluate_model(options: EvaluateOptions) -> None:
    if options.model is None or options.data is None:
        raise click.UsageError("give MODEL and --data, or --predictions and --truth")
    require(_NEEDED if options.out is None else _NEEDED_TO_DRAW)
    from edge_agent.vision.models.card import find_model
    from edge_agent.vision.models.model import load_model
    from training.report.figures import measured_text
    from training.report.measure import measure, speed_of
    from training.report.robustness import covered_json, covered_rows, covered_text

    faces = _faces(options.data, options.votes, options.cache, options.cleaned)
    faces = _set_aside(faces, options, options.model)
    usage = _usage_of(options.data, options.usage)
    model = load_model(find_model(options.model), kind="expression", threads=options.threads)
    measured = measure(model, faces, usage, robust=options.robust, prior=options.prior)
    evaluated = _split(faces, usage)
    measured = replace(measured, speed=speed_of(model, evaluated.pictures))
    if options.out is not None:
        from training.errors import write_all
        from training.report.figures import artefacts

        write_all(options.out, artefacts(measured))
    figures = measured.as_json()
    texts = [measured_text(measured)]
    if options.covered:
        rows = covered_rows(model, evaluated)
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
    only_model = (options.out, options.robust, options.covered, options.cleaned)
    if any(only_model) or options.prior != "data":
        raise click.UsageError(
            "--out, --robustness, --covered, --cleaned and --prior need a MODEL; leave them out "
            "with --predictions"
        )
    require(_NEEDED)
    from training.report.compare import evaluate_tables

    evaluation = evaluate_tables(predictions, truth)
    if options.as_json:
        head = {"predictions": str(predictions), "truth": str(truth)}
        click.echo(json.dumps({**head, **evaluation.as_json()}))
    else:
        click.echo(evaluation.as_text())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOptions:
    """Options of ``chain``."""

    model: str
    photos: Path
    labels: Path | None
    readings: Path | None
    sources: Path | None
    half: str
    prior: Prior
    detector: str
    yunet: Path | None
    out: Path | None
    as_json: bool


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--photos",
    type=FILE,
    required=True,
    help="Zip archive (read in place) or folder of photographs.",
)
@_labels_option
@readings_options
@click.option(
    "--half",
    type=click.Choice(["A", "B", "both"]),
    default="both",
    show_default=True,
    help="Which half of the photographs of --readings; the prior was fitted on A, B judges.",
)
@_prior_option
@click.option(
    "--detector",
    default="face-detector",
    show_default=True,
    help="Shipped face detector, or its card.",
)
@click.option(
    "--yunet", type=FILE, help="ONNX file of YuNet: also crop by its landmarks, and compare."
)
@click.option(
    "--out", type=FILE, help="Folder for tables (CSV): confusion matrices, answers by photograph."
)
@json_option
@options_as(ChainOptions)
def chain(options: ChainOptions) -> None:
    """Evaluate the whole chain, detector → crop → MODEL, on labelled photographs.

    MODEL is NAME.tflite with NAME.json beside it, or the name of a shipped model.
    """
    require(("sklearn",))
    from training.data.photographs import LabelledPhotographs
    from training.errors import write_all
    from training.faces.labelling import Teacher
    from training.report.chain import CHAIN, chain_json, chain_tables, chain_text, measure_chain
    from training.report.photographs import agreement_text, figures_by_agreement

    agreement = agreement_of(options.readings, options.sources, options.labels)
    if agreement is None and options.half != "both":
        raise click.UsageError("--half belongs to --readings; give both, or neither")
    if agreement is not None:
        agreement = agreement.of_half(options.half)
    photographs = LabelledPhotographs(options.photos, options.labels, agreement)
    reference = None if options.yunet is None else Teacher(options.yunet).label
    measured = measure_chain(
        options.model, photographs, options.detector, reference, prior=options.prior
    )
    if options.out is not None:
        write_all(options.out, chain_tables(measured))
    figures = {"photos": str(options.photos), **chain_json(measured)}
    texts = [chain_text(measured)]
    if agreement is not None:
        agreed = figures_by_agreement(
            measured.answers[CHAIN], measured.files, agreement, measured.uncertain_below
        )
        figures["agreement"] = {name: one.as_json() for name, one in agreed.items()}
        texts.append(agreement_text(agreed))
    click.echo(json.dumps(figures) if options.as_json else "\n\n".join(texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOptions(OptionalFacesOptions):
    """Options of ``card``."""

    file: Path
    out: Path
    name: str | None
    version: str
    categories: str | None
    normalisation: str | None
    crop: str
    license: str | None
    description: str
    learnt_from: str
    uncertain_below: float
    output: str | None
    usage: str


@click.command(cls=Command)
@click.argument("file", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for the copy and its card.")
@click.option("--name", help="Name of the model; the default is that of the file.")
@click.option("--version", default="1.0.0", show_default=True, help="Three numbers.")
@click.option("--categories", help="What each answer means, in the file's order, with commas.")
@click.option(
    "--normalisation",
    type=click.Choice(_NORMALISATIONS),
    help="What pixels were while it learnt; fer2013: mean 0.507 off, divided by 0.255.",
)
@click.option(
    "--crop", default=EXPRESSION_CROP, show_default=True, help="Crop that it learnt from."
)
@click.option("--license", help="Terms of the weights.")
@click.option(
    "--description", default="Made elsewhere.", show_default=True, help="A sentence for the card."
)
@click.option("--learnt-from", default="not said", show_default=True, help="Data it learnt from.")
@click.option(
    "--uncertain-below",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Top probability under which a face is uncertain.",
)
@click.option("--output", help="Tensor with the answers, where several may be.")
@optional_faces_options
@click.option("--usage", default="PublicTest", show_default=True, help="Split of a table.")
@options_as(CardOptions)
def card(options: CardOptions) -> None:
    """Write a card for FILE, a TFLite model of expressions that was made elsewhere.

    FILE is checked as the agent does, measured with --data, and copied beside its card, with its
    answers in the agent's order. What is not given is asked for, on a terminal. Then, on the
    device: affect-edge model install NAME.tflite
    """
    from training.errors import check_new_folder
    from training.report.cards import CardWishes, TFLiteFile, check_file, make_card

    file = TFLiteFile(options.file)
    check_file(file, options.output)  # before anything is asked
    check_new_folder(options.out, options.file)
    wishes = CardWishes(
        name=options.name or _name_of(options.file),
        version=options.version,
        categories=tuple(
            _given_or_asked(options.categories, "--categories", ",".join(EXPRESSIONS)).split(",")
        ),
        normalisation=_given_or_asked(
            options.normalisation, "--normalisation", "0..1", _NORMALISATIONS
        ),
        license=_given_or_asked(options.license, "--license", "unknown"),
        crop=options.crop,
        description=options.description,
        learnt_from=options.learnt_from,
        uncertain_below=options.uncertain_below,
        output=options.output,
    )
    faces = None
    if options.data is not None:
        faces = load_faces(options.data, options.votes, cache=options.cache)
        if options.data.is_file():
            faces = faces.of_usage(options.usage)
    made = make_card(file.path, wishes, options.out, faces)
    for split, figures in made.metrics.items():
        click.echo(f"{split}: {', '.join(f'{key} {value}' for key, value in figures.items())}")
    if faces is None:
        click.echo("not measured: nobody knows whether categories and pixels are as you said")
    click.echo(options.out / made.file)
    click.echo(options.out / f"{made.name}.json")


def _given_or_asked(
    value: str | None, option: str, usual: str, choices: tuple[str, ...] = ()
) -> str:
    """Return what was given, or the answer to a question where there is somebody to ask.

    Raises:
        DataError: nothing was given, and there is nobody.
    """
    if value is not None:
        return value
    if not sys.stdin.isatty():
        raise DataError(f"{option} is missing: the file does not say it; usual is {usual}")
    kind = click.Choice(choices) if choices else str
    return str(click.prompt(option.removeprefix("--"), default=usual, type=kind))


def _name_of(file: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-") or "model"
