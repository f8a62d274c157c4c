"""The command ``card``: a card for a TFLite file that was made elsewhere."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from edge_agent.vision.align import CROP_NAME
from training.commands.options import FILE, optional_faces_options, options_as
from training.data.datasets import EXPRESSIONS
from training.errors import DataError

_NORMALISATIONS = ("0..255", "0..1", "-1..1", "fer2013")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOptions:
    """Options of ``card``."""

    data: Path | None
    votes: Path | None
    cache: Path
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


@click.command()
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
@click.option("--crop", default=CROP_NAME, show_default=True, help="Crop that it learnt from.")
@click.option("--license", help="Terms of the weights.")
@click.option("--description", default="Made elsewhere.", show_default=True)
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
    from training.cards.make import CardWishes, check_file, make_card
    from training.cards.tflite_file import TFLiteFile
    from training.data.datasets import load_faces
    from training.files import check_new_folder

    file = TFLiteFile(options.file)
    check_file(file, options.output)  # before anything is asked
    check_new_folder(options.out, options.file)
    wishes = CardWishes(
        name=options.name or _name_of(options.file),
        version=options.version,
        categories=tuple(
            _given(options.categories, "--categories", ",".join(EXPRESSIONS)).split(",")
        ),
        normalisation=_given(options.normalisation, "--normalisation", "0..1", _NORMALISATIONS),
        license=_given(options.license, "--license", "unknown"),
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


def _given(value: str | None, option: str, usual: str, choices: tuple[str, ...] = ()) -> str:
    """What was given, or the answer to a question where there is somebody to ask.

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
