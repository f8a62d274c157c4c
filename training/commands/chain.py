"""The command ``chain``: evaluate the whole chain on labelled photographs. It needs no PyTorch."""

import json
from dataclasses import dataclass
from pathlib import Path

import click

from training.commands.options import FILE, json_option, options_as, require


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOptions:
    """Options of ``chain``."""

    model: str
    photos: Path
    labels: Path | None
    detector: str
    yunet: Path | None
    out: Path | None
    as_json: bool


@click.command()
@click.argument("model")
@click.option(
    "--photos",
    type=FILE,
    required=True,
    help="Zip archive (read in place) or folder of photographs.",
)
@click.option(
    "--labels",
    type=FILE,
    help="Table with the columns file, emotion; the default is labels.csv among the photographs.",
)
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
    from training.data.labelled_photographs import LabelledPhotographs
    from training.faces.labelling.teacher import Teacher
    from training.files import write_all
    from training.measuring.chain import measure_chain
    from training.measuring.chain_report import chain_json, chain_tables, chain_text

    photographs = LabelledPhotographs(options.photos, options.labels)
    reference = None if options.yunet is None else Teacher(options.yunet).label
    measured = measure_chain(options.model, photographs, options.detector, reference)
    if options.out is not None:
        write_all(options.out, chain_tables(measured))
    if options.as_json:
        click.echo(json.dumps({"photos": str(options.photos), **chain_json(measured)}))
    else:
        click.echo(chain_text(measured))
