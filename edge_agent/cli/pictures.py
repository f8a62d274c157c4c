"""The command that reads pictures."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.options import common_options, json_option, load, log_to_stderr
from edge_agent.core.errors import PictureError

if TYPE_CHECKING:
    from edge_agent.vision.recognizer import Recognizer


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@common_options
@json_option
@click.option(
    "--explain",
    "drawing",
    metavar="OUT.png",
    type=click.Path(path_type=Path),
    help="Draw where in the one PICTURE the evidence lies. Ends with 1 if there is no face to "
    "draw.",
)
@click.option(
    "--all",
    "name_all",
    is_flag=True,
    help="Name the emotion of faces with a flaw, too (cut off, too small, blurred …).",
)
def classify(
    paths: tuple[Path, ...],
    config: Path | None,
    data: Path | None,
    as_json: bool,
    drawing: Path | None,
    name_all: bool,
) -> None:
    """Find and read the faces in pictures and folders.

    A face that cannot be read well is told with its flaw, and not named.
    """
    log_to_stderr(logging.WARNING)
    settings, _folder = load(config, data)
    picture = None if drawing is None else picture_to_draw(paths, drawing)
    from edge_agent.runtime.factories import configured_recognizer
    from edge_agent.vision.stills.pictures import classify_pictures

    recognizer = configured_recognizer(settings)
    if drawing is not None and picture is not None:
        explain(picture, drawing, recognizer, as_json, name_all)
        return
    failed = False
    for line in classify_pictures(paths, recognizer, name_all=name_all):
        failed = failed or "error" in line
        click.echo(json.dumps(line) if as_json else describe_picture(line))
    sys.exit(int(failed))


def picture_to_draw(paths: tuple[Path, ...], drawing: Path) -> Path:
    """Return the one picture to be drawn, after a check that the drawing does not replace it."""
    from edge_agent.vision.stills.drawing import check_place
    from edge_agent.vision.stills.pictures import find_pictures

    pictures = find_pictures(paths)
    if len(pictures) != 1:
        raise click.UsageError(
            f"--explain draws one picture, and these are {len(pictures)}. Draw them one by one: "
            'for p in *.jpg; do affect-edge classify "$p" --explain "${p%.*}-evidence.png"; done'
        )
    try:
        check_place(drawing, pictures[0])
    except PictureError as error:
        raise click.UsageError(f"--explain {error}") from error
    return pictures[0]


def explain(
    picture: Path, drawing: Path, recognizer: Recognizer, as_json: bool, name_all: bool
) -> None:
    """Read one picture as `classify` does, and draw the evidence for the label of each face."""
    from edge_agent.vision.stills.drawing import explain_picture, save_png

    line, drawn = explain_picture(picture, recognizer, name_all=name_all)
    click.echo(json.dumps(line) if as_json else describe_picture(line))
    if drawn is None:
        if "error" not in line:
            click.echo(
                f"affect-edge: {drawing} is not drawn: there is no face to explain.", err=True
            )
        sys.exit(1)
    save_png(drawn, drawing)
    click.echo(drawing, err=as_json)


def describe_picture(line: dict[str, Any]) -> str:
    """Say in words what ``classify --json`` says in one line."""
    if "error" in line:
        return str(line["error"])
    angle = line.get("field_of_view_deg")
    sees = ""
    if angle is not None:
        sees = f" (sees {angle:.0f}° from left to right)"
    if not line["faces"]:
        return f"{line['file']}: no face{sees}"
    parts = []
    for face in line["faces"]:
        best = sorted(face["probabilities"].items(), key=lambda item: -item[1])[:2]
        probabilities = ", ".join(f"{name} {probability:.0%}" for name, probability in best)
        x, y, width, height = (round(value) for value in face["box"])
        place = f"at {x},{y} {width}×{height}"
        flaw = str(face["flaw"] or "").replace("_", " ")
        label = "uncertain" if face["uncertain"] else face["emotion"]
        if face["emotion"] is None:
            parts.append(f"not read ({flaw}) {place}")
        elif flaw:
            parts.append(f"{label} ({probabilities}; {flaw}) {place}")
        else:
            parts.append(f"{label} ({probabilities}) {place}")
    return f"{line['file']}: " + "; ".join(parts) + sees
