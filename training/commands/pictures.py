"""The commands that take pictures of one's own: ``crop-faces`` and ``explain``."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from training.commands.options import require
from training.data.datasets import EDGE, EXPRESSIONS
from training.errors import DataError

_NEEDED_TO_EXPLAIN = ("torch",)
_FILE = click.Path(path_type=Path)


@click.command("crop-faces")
@click.argument("photographs", type=_FILE)
@click.option("--out", type=_FILE, required=True, help="Folder for the faces, new or empty.")
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
    type=_FILE,
    help="CSV with columns file, emotion, instead of subfolders.",
)
def crop_faces(photographs: Path, out: Path, size: int, labels: Path | None) -> None:
    """Cut the largest face out of each of your photographs, as the agent does, to learn from.

    PHOTOGRAPHS is a folder with a subfolder for each category; so will be --out.
    """
    from training.data.crops import FaceCutter, Tally, cut_one, plan_cuts

    cuts = plan_cuts(photographs, out, labels)
    cutter = FaceCutter(size)
    tally = Tally()
    with click.progressbar(
        cuts, label="cutting faces", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        for cut in progress:
            cut_one(cut, out, cutter, tally)
    click.echo(tally.as_text(out))
    if not tally.faces:
        raise DataError(f"no face was found in any of {len(cuts)} photographs; nothing was written")


@click.command()
@click.argument("pictures", type=_FILE, nargs=-1, required=True)
@click.option(
    "--run",
    "folder",
    type=_FILE,
    required=True,
    help="Folder of a training run, with its checkpoint.pt.",
)
@click.option("--recipe", type=_FILE, help="Recipe of the run, if the folder keeps no copy of it.")
@click.option(
    "--out", type=_FILE, required=True, help="Folder for the sheets (PNG) and the table (CSV)."
)
@click.option(
    "--category",
    type=click.Choice(EXPRESSIONS),
    help="What to look for; else what each face most likely is.",
)
@click.option(
    "--stage", type=int, help="Of Grad-CAM, 1 for the first; the last but one if not given."
)
@click.option(
    "--aligned", is_flag=True, help="PICTURES are faces cut out already, as crop-faces cuts them."
)
def explain(
    pictures: tuple[Path, ...],
    folder: Path,
    recipe: Path | None,
    out: Path,
    category: str | None,
    stage: int | None,
    aligned: bool,
) -> None:
    """Draw where a trained network (float, from its checkpoint) sees a category in PICTURES: CAM
    and Grad-CAM.

    PICTURES are photographs, of which the agent's detector cuts out the largest face, or folders of
    them.
    """
    require(_NEEDED_TO_EXPLAIN)
    from edge_agent.vision.stills.pictures import find_pictures
    from training.data.crops import aligned_faces
    from training.expression.explain import explain_faces, open_run
    from training.expression.explain_report import artefacts, summary
    from training.files import write_all

    network, form = open_run(folder, recipe)
    faces, left_out = aligned_faces(pictures, aligned=aligned)
    for sentence in left_out:
        click.echo(f"left out: {sentence}", err=True)
    if not faces:
        raise DataError("no picture is left to explain")
    explained = explain_faces(network, form, faces, category=category, stage=stage)
    files = artefacts(explained)
    refuse_to_overwrite(out, files, find_pictures(pictures))
    write_all(out, files)
    click.echo(summary(explained))
    for name in files:
        click.echo(out / name)


def refuse_to_overwrite(out: Path, names: Iterable[str], pictures: Iterable[Path]) -> None:
    """Make sure that no result takes the place of a picture that was given.

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
