"""The command ``chain``: the whole chain on labelled photographs. It needs no PyTorch."""

import json
from pathlib import Path

import click

from training.commands.options import require

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("model")
@click.option(
    "--photos",
    type=_FILE,
    required=True,
    help="Zip archive (read in place) or folder of photographs.",
)
@click.option(
    "--labels",
    type=_FILE,
    help="Table with the columns file, emotion; labels.csv among the photographs.",
)
@click.option(
    "--detector",
    default="face-detector",
    show_default=True,
    help="Shipped face detector, or its card.",
)
@click.option(
    "--yunet", type=_FILE, help="ONNX file of YuNet: also crop by its landmarks, and compare."
)
@click.option(
    "--out", type=_FILE, help="Folder for tables (CSV): confusion matrices, answers by photograph."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def chain(
    model: str,
    photos: Path,
    labels: Path | None,
    detector: str,
    yunet: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Judge the whole chain, detector → crop → MODEL, on labelled photographs.

    MODEL is NAME.tflite with NAME.json beside it, or the name of a shipped model.
    """
    require(("sklearn",))
    from training.data.labelled_photographs import LabelledPhotographs
    from training.faces.labelling.teacher import Teacher
    from training.files import write_all
    from training.measuring.chain import measure_chain
    from training.measuring.chain_report import chain_json, chain_tables, chain_text

    photographs = LabelledPhotographs(photos, labels)
    measured = measure_chain(
        model, photographs, detector, None if yunet is None else Teacher(yunet).label
    )
    if out is not None:
        write_all(out, chain_tables(measured))
    click.echo(
        json.dumps({"photos": str(photos), **chain_json(measured)})
        if as_json
        else chain_text(measured)
    )
