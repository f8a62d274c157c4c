"""Commands about pictures: crops, covers, CK+, maps, detectors, labels, problems of the data.

Only ``explain`` needs PyTorch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from edge_agent.core.command_line import Command
from training.commands.options import (
    CACHE,
    FILE,
    FacesOptions,
    agreement_of,
    by_label_option,
    coding_of,
    faces_options,
    groups_option,
    json_option,
    options_as,
    readings_options,
    require,
)
from training.data.datasets import EDGE, EXPRESSIONS
from training.errors import DataError

_FOLDS = 10
_NEEDED_TO_EXPLAIN = ("torch",)
_NEEDED_TO_COMPARE = ("torch", "litert_torch")
RECIPE = Path(__file__).parents[1] / "recipes" / "face-detector.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """Options of ``explain``."""

    pictures: tuple[Path, ...]
    run: Path
    recipe: Path | None
    out: Path
    category: str | None
    stage: int | None
    aligned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverOptions(FacesOptions):
    """Options of ``cover-faces``."""

    usage: str
    out: Path


@click.command("crop-faces", cls=Command)
@click.argument("photographs", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for the faces, new or empty.")
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    default=EDGE,
    show_default=True,
    help="Side of a face in pixels.",
)
@by_label_option
@click.option(
    "--yolo",
    type=FILE,
    help="Also write the photographs with the boxes of all faces here, as YOLO reads them.",
)
def crop_faces(
    photographs: Path, out: Path, size: int, labels: Path | None, yolo: Path | None
) -> None:
    """Cut the largest face out of each photograph, as the agent does, to learn from it.

    PHOTOGRAPHS is a folder with a subfolder for each category; --out gets the same subfolders.
    """
    from training.data.crops import FaceCutter, Tally, cut_one, plan_cuts
    from training.data.photographs import DetectionSet
    from training.errors import check_new_folder

    cuts = plan_cuts(photographs, out, labels)
    detections = None
    if yolo is not None:
        _check_apart(yolo, out)
        check_new_folder(yolo, photographs)
        detections = DetectionSet(yolo)
    cutter = FaceCutter(size)
    tally = Tally()
    with click.progressbar(
        cuts, label="cutting faces", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        for cut in progress:
            cut_one(cut, out, cutter, tally, detections)
    click.echo(tally.as_text(out))
    if detections is not None and detections.photographs:
        click.echo(detections.finish())
    if not tally.faces:
        raise DataError(f"no face was found in any of {len(cuts)} photographs; nothing was written")


@click.command("ck-plus", cls=Command)
@click.argument("data", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for the parts, new or empty.")
@click.option(
    "--folds",
    "count",
    type=click.IntRange(2, 100),
    help="How many folds; the default is 10, and the own split of a table.",
)
def ck_plus(data: Path, out: Path, count: int | None) -> None:
    """Write CK+ as folders to learn from and to test with, nobody in both where people are known.

    DATA is its table (emotion, pixels, Usage), which keeps its own split, or its folder with a
    subfolder for each category, which becomes folds.
    """
    from training.data.ck_plus import (
        folds,
        own_split,
        read_ck_plus,
        summary,
        warnings_of,
        write_parts,
    )
    from training.errors import check_new_folder

    check_new_folder(out, data)
    portraits = read_ck_plus(data)
    if data.is_dir():
        parts = folds(portraits, count or _FOLDS)
    elif count is None:
        parts = own_split(portraits)
    else:
        raise DataError(
            f"--folds {count}: a table does not say whom a picture shows, so its own split is "
            "kept; leave --folds out, or give the folder of pictures"
        )
    for sentence in warnings_of(portraits, parts):
        click.echo(f"warning: {sentence}", err=True)
    write_parts(parts, out)
    click.echo(summary(parts))


@click.command("cover-faces", cls=Command)
@faces_options
@click.option("--usage", default="PublicTest", show_default=True, help="Split of a table.")
@click.option("--out", type=FILE, required=True, help="Folder for the pictures, new or empty.")
@options_as(CoverOptions)
def cover_faces(options: CoverOptions) -> None:
    """Write faces with mouth, eyes, a half, mask and glasses covered, for any program to answer.

    Beside the pictures lies ground_truth.csv (file, label, covered). With the program's answers it
    goes to evaluate --predictions predict.csv --truth ground_truth.csv.
    """
    from training.errors import check_new_folder, write_whole
    from training.report.robustness import TRUTH, covered_files

    check_new_folder(options.out, options.data)
    faces = options.load()
    if options.data.is_file():
        faces = faces.of_usage(options.usage)
    for name, content in covered_files(faces):
        write_whole(options.out / name, content)
    click.echo(options.out / TRUTH)


@click.command(cls=Command)
@click.argument("pictures", type=FILE, nargs=-1, required=True)
@click.option(
    "--run", type=FILE, required=True, help="Folder of a training run, with its checkpoint.pt."
)
@click.option("--recipe", type=FILE, help="Recipe of the run, if the folder keeps no copy of it.")
@click.option(
    "--out", type=FILE, required=True, help="Folder for the sheets (PNG) and the table (CSV)."
)
@click.option(
    "--category",
    type=click.Choice(EXPRESSIONS),
    help="Category to map; the default is the most probable one of each face.",
)
@click.option(
    "--stage", type=int, help="Stage of Grad-CAM, from 1; the default is the last but one."
)
@click.option(
    "--aligned", is_flag=True, help="PICTURES are cut-out faces, as crop-faces writes them."
)
@options_as(ExplainOptions)
def explain(options: ExplainOptions) -> None:
    """Draw where a trained network (float, from its checkpoint) sees a category: CAM and Grad-CAM.

    PICTURES are photographs, of which the agent's detector cuts out the largest face, or folders of
    them.
    """
    require(_NEEDED_TO_EXPLAIN)
    from edge_agent.vision.stills import find_pictures
    from training.data.crops import aligned_faces
    from training.errors import write_all
    from training.expression.explain import artefacts, explain_faces, open_run, summary

    network, recipe = open_run(options.run, options.recipe)
    faces, left_out = aligned_faces(options.pictures, aligned=options.aligned)
    for sentence in left_out:
        click.echo(f"left out: {sentence}", err=True)
    if not faces:
        raise DataError("no picture is left to explain")
    explained = explain_faces(
        network, recipe, faces, category=options.category, stage=options.stage
    )
    files = artefacts(explained)
    refuse_to_overwrite(options.out, files, find_pictures(options.pictures))
    write_all(options.out, files)
    click.echo(summary(explained))
    for name in files:
        click.echo(options.out / name)


def _check_apart(yolo: Path, out: Path) -> None:
    """Make sure that neither folder lies in the other: ``--out`` is read as categories.

    Raises:
        DataError: one does.
    """
    inner, outer = yolo.resolve(), out.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise DataError(f"--yolo {yolo}: must lie apart from --out {out}; name another folder")


def refuse_to_overwrite(out: Path, names: Iterable[str], pictures: Iterable[Path]) -> None:
    """Make sure that no result replaces a picture that was given.

    Raises:
        DataError: one would.
    """
    given = {picture.resolve() for picture in pictures}
    for name in names:
        if (out / name).resolve() in given:
            raise DataError(
                f"{out / name}: is one of the PICTURES and would be overwritten; "
                "choose another --out"
            )


_archives_option = click.option(
    "--faces", type=FILE, required=True, help="Folder with the archives of photographs."
)
_yunet_option = click.option("--yunet", type=FILE, required=True, help="ONNX file of YuNet.")
_held_out_option = click.option(
    "--recipe", type=FILE, default=RECIPE, help="Recipe that says which photographs are held out."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesEvaluateOptions:
    """Options of ``faces-evaluate``."""

    model: str
    faces: Path
    yunet: Path
    recipe: Path
    score: float | None
    limit: int | None
    into_card: bool
    as_json: bool


@click.command("faces-evaluate", cls=Command)
@click.argument("model", default="face-detector")
@click.option(
    "--faces",
    type=FILE,
    required=True,
    help="Folder with the archives of photographs that the recipe names.",
)
@_yunet_option
@_held_out_option
@click.option(
    "--score",
    type=click.FloatRange(0.01, 0.99),
    help="Lowest score of a face; the default is that of the card.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="At most this many photographs of each archive, for a quick result.",
)
@click.option(
    "--note",
    "into_card",
    is_flag=True,
    help="Also write the figures that have a bar into the cards of the models.",
)
@json_option
@options_as(FacesEvaluateOptions)
def faces_evaluate(options: FacesEvaluateOptions) -> None:
    """Evaluate the face detector MODEL beside YuNet on photographs that it did not learn from.

    MODEL is NAME.tflite with NAME.json beside it, or the name of a shipped model. The default is
    face-detector.
    """
    from edge_agent.vision.models.card import find_model, shipped_models
    from training.faces.trial_report import report_json, report_text, run_trial, write_figures

    report = run_trial(
        options.model,
        options.faces,
        options.yunet,
        options.recipe,
        score=options.score,
        limit=options.limit,
    )
    if options.into_card:
        write_figures(find_model(options.model), report, shipped_models().get("face-cover"))
    if options.as_json:
        click.echo(json.dumps(report_json(report)))
    else:
        click.echo(report_text(report))


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementsEvaluateOptions:
    """Options of ``movements-evaluate``."""

    model: str
    data: Path
    as_json: bool


@click.command("movements-evaluate", cls=Command)
@click.argument("model", default="face-movements")
@click.option(
    "--data",
    type=FILE,
    required=True,
    help="Folder with faces.npz and answers.npz, as training.expression.movement_faces and the "
    "teacher wrote them.",
)
@json_option
@options_as(MovementsEvaluateOptions)
def movements_evaluate(options: MovementsEvaluateOptions) -> None:
    """Compare MODEL with its teacher on held-out people: movements, pose and look.

    MODEL is NAME.tflite with NAME.json beside it, or the name of a shipped model. The default is
    face-movements. The last column says how the teacher agrees with itself at half the size.
    """
    require(_NEEDED_TO_COMPARE)
    from edge_agent.vision.models.card import find_model
    from edge_agent.vision.models.model import load_model
    from edge_agent.vision.movements import MovementsReader
    from training.expression.movements import (
        evaluate,
        evaluation_text,
        half_size_agreement,
        load_movement_faces,
    )

    reader = MovementsReader(load_model(find_model(options.model), kind="face-movements"))
    measures = evaluate(reader, load_movement_faces(options.data).of_part("test"))
    agreement = half_size_agreement(options.data)
    if agreement:
        measures["teacher at half the size"] = agreement
    if options.as_json:
        click.echo(json.dumps(measures))
    else:
        click.echo(evaluation_text(reader.card, measures), nl=False)


@click.command("faces-scores", cls=Command)
@click.argument("model", default="face-detector")
@_archives_option
@_yunet_option
@_held_out_option
@click.option(
    "--part",
    type=click.Choice(["valid", "test"]),
    default="valid",
    show_default=True,
    help="Photographs to choose by, or to judge the choice by, once.",
)
@click.option(
    "--note",
    "into_card",
    is_flag=True,
    help="Also write the figures of the score for still pictures into the card of the model.",
)
def faces_scores(
    model: str, faces: Path, yunet: Path, recipe: Path, part: str, into_card: bool
) -> None:
    """Count what the face detector MODEL finds at several least scores, and what of it is false."""
    from edge_agent.vision.models.card import find_model
    from training.faces.labelling import read_shares
    from training.faces.sweep import note_stills, run_sweep, sweep_text

    swept = run_sweep(model, faces, yunet, read_shares(recipe), part)
    if into_card:
        note_stills(find_model(model), swept)
    click.echo(sweep_text(swept))


@click.command("faces-groups", cls=Command)
@_archives_option
@_yunet_option
@_held_out_option
@click.option("--photos", type=FILE, help="Also read these labelled photographs, by light.")
@readings_options
@groups_option
@click.option("--limit", type=click.IntRange(min=1), help="At most this many portraits.")
@json_option
def faces_groups(
    faces: Path,
    yunet: Path,
    recipe: Path,
    photos: Path | None,
    readings: Path | None,
    sources: Path | None,
    groups: Path | None,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """Tell how the whole chain does by skin, by light and by people, as far as photographs tell."""
    from training.data.photographs import LabelledPhotographs
    from training.faces.groups import figures_of, groups_text, run_groups
    from training.report.apparent import apparent_text, run_apparent

    agreement = agreement_of(readings, sources)
    coding = coding_of(groups, agreement)
    labelled = None
    if photos is not None:
        # Frames of a film are dark and sad together: they would tell of the films.
        agreement = None if agreement is None else agreement.of_web()
        labelled = LabelledPhotographs(photos, agreement=agreement)
    elif agreement is not None:
        raise click.UsageError("--readings belong to --photos; give both, or neither")
    told = run_groups(faces, yunet, recipe, labelled, limit)
    figures: dict[str, object] = {what: figures_of(those) for what, those in told.items()}
    texts = [groups_text(told)]
    if coding is not None and labelled is not None and agreement is not None:
        apart = run_apparent(labelled, agreement, coding)
        figures["apparent"] = {
            title: {name: asdict(one) for name, one in differences.items()}
            for title, differences in apart.items()
        }
        figures["kappa"] = dict(coding.kappa)
        texts.append(apparent_text(apart, coding))
    click.echo(json.dumps(figures) if as_json else "\n\n".join(texts))


@click.command(cls=Command)
@click.argument("folder", type=FILE)
@click.option(
    "--out",
    type=FILE,
    show_default="FOLDER-labels",
    help="Folder of the tables; give the same one again to go on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port of the page on this machine; 0 takes a free one.",
)
def label(folder: Path, out: Path | None, port: int) -> None:
    """Label the pictures of FOLDER on a page in the browser, alone or with others.

    Each person has a table of their own and does not see what the others said. The page tells how
    far they agree, and where they differ or doubt, it can be settled. What is clear then stands in
    labels.csv, which `train --by-label` and `crop-faces --by-label` read.
    """
    from training.data.labelling import HOST, MERGED, Labels, open_socket, serve

    whole = folder.absolute()
    labels = Labels(folder, out or whole.with_name(f"{whole.name}-labels"))
    listening = open_socket(port)
    click.echo(f"{len(labels.files)} pictures. Open http://{HOST}:{listening.getsockname()[1]}/")
    click.echo(f"The labels: {labels.out / MERGED}. Ctrl-C ends the page; nothing is lost.")
    serve(labels, listening)


@click.command("data-problems", cls=Command)
@click.argument("data", type=FILE)
@click.option("--votes", type=FILE, help="FER+ votes (fer2013new.csv) of the same rows.")
@click.option(
    "--out",
    type=FILE,
    default=Path("problems"),
    show_default=True,
    help="Folder for problems.html and problems.csv, new or empty.",
)
@click.option(
    "--cache", type=FILE, default=CACHE, help="Folder that keeps parsed tables for the next start."
)
def data_problems(data: Path, votes: Path | None, out: Path, cache: Path) -> None:
    """Find near-copies, pictures without a face, and labels that the shipped networks doubt.

    DATA is a FER2013 table or a folder of cut-out faces. Nothing is changed: problems.csv names
    each picture, what is wrong, and whether a training should leave it out, which you can change.
    Then: fit … --without problems.csv
    """
    from training.errors import check_new_folder, write_all
    from training.report.problems import PAGE, TABLE, find_problems, problems_page

    check_new_folder(out, data)
    findings = find_problems(data, votes, cache=cache)
    write_all(out, {TABLE: findings.as_csv(), PAGE: problems_page(findings)})
    click.echo(findings.as_text())
    click.echo(f"The report: {out / PAGE}")
