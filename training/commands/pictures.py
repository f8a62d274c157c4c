"""The commands that take pictures: ``crop-faces``, ``cover-faces``, ``ck-plus``, ``explain``."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from training.commands.options import FILE, FacesOptions, faces_options, options_as, require
from training.data.datasets import EDGE, EXPRESSIONS
from training.errors import DataError

_FOLDS = 10
_NEEDED_TO_EXPLAIN = ("torch",)


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


@click.command("crop-faces")
@click.argument("photographs", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for the faces, new or empty.")
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    default=EDGE,
    show_default=True,
    help="Side of a face in pixels.",
)
@click.option(
    "--by-label",
    "labels",
    type=FILE,
    help="CSV with columns file, emotion, instead of subfolders.",
)
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
    from training.data.detection_set import DetectionSet
    from training.files import check_new_folder

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


@click.command("ck-plus")
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
    from training.files import check_new_folder

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


@click.command("cover-faces")
@faces_options
@click.option("--usage", default="PublicTest", show_default=True, help="Split of a table.")
@click.option("--out", type=FILE, required=True, help="Folder for the pictures, new or empty.")
@options_as(CoverOptions)
def cover_faces(options: CoverOptions) -> None:
    """Write faces with mouth, eyes, a half, mask and glasses covered, for any program to answer.

    Beside the pictures lies ground_truth.csv (file, label, covered). With the program's answers it
    goes to evaluate --predictions predict.csv --truth ground_truth.csv.
    """
    from training.data.datasets import load_faces
    from training.files import check_new_folder, write_whole
    from training.measuring.covered import TRUTH, covered_files

    check_new_folder(options.out, options.data)
    faces = load_faces(options.data, options.votes, cache=options.cache)
    if options.data.is_file():
        faces = faces.of_usage(options.usage)
    for name, content in covered_files(faces):
        write_whole(options.out / name, content)
    click.echo(options.out / TRUTH)


@click.command()
@click.argument("pictures", type=FILE, nargs=-1, required=True)
@click.option(
    "--run",
    type=FILE,
    required=True,
    help="Folder of a training run, with its checkpoint.pt.",
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
    from edge_agent.vision.stills.pictures import find_pictures
    from training.data.crops import aligned_faces
    from training.expression.explain import explain_faces, open_run
    from training.expression.explain_report import artefacts, summary
    from training.files import write_all

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
