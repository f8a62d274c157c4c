"""The commands that judge a face detector beside YuNet on photographs that were held out.

They need no PyTorch.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import click

from training.commands.options import FILE, json_option, options_as

RECIPE = Path(__file__).parents[1] / "recipes" / "face-detector.toml"


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


@click.command("faces-evaluate")
@click.argument("model", default="face-detector")
@click.option(
    "--faces",
    type=FILE,
    required=True,
    help="Folder with the archives of photographs that the recipe names.",
)
@click.option("--yunet", type=FILE, required=True, help="ONNX file of YuNet.")
@click.option(
    "--recipe", type=FILE, default=RECIPE, help="Recipe that says which photographs are held out."
)
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
    from training.faces.evaluation.trial_report import note, report_json, report_text
    from training.faces.evaluation.trial_run import run_trial

    report = run_trial(
        options.model,
        options.faces,
        options.yunet,
        options.recipe,
        score=options.score,
        limit=options.limit,
    )
    if options.into_card:
        note(find_model(options.model), report, shipped_models().get("face-cover"))
    if options.as_json:
        click.echo(json.dumps(report_json(report)))
    else:
        click.echo(report_text(report))


@click.command("faces-scores")
@click.argument("model", default="face-detector")
@click.option("--faces", type=FILE, required=True, help="Folder with the archives of photographs.")
@click.option("--yunet", type=FILE, required=True, help="ONNX file of YuNet.")
@click.option(
    "--recipe", type=FILE, default=RECIPE, help="Recipe that says which photographs are held out."
)
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
    from training.faces.evaluation.score_sweep import note_stills, run_sweep, sweep_text
    from training.faces.labelling.split import read_shares

    swept = run_sweep(model, faces, yunet, read_shares(recipe), part)
    if into_card:
        note_stills(find_model(model), swept)
    click.echo(sweep_text(swept))


@click.command("faces-groups")
@click.option("--faces", type=FILE, required=True, help="Folder with the archives of photographs.")
@click.option("--yunet", type=FILE, required=True, help="ONNX file of YuNet.")
@click.option(
    "--recipe", type=FILE, default=RECIPE, help="Recipe that says which photographs are held out."
)
@click.option("--photos", type=FILE, help="Also read these labelled photographs, by light.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many portraits.")
@json_option
def faces_groups(
    faces: Path,
    yunet: Path,
    recipe: Path,
    photos: Path | None,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """Tell how the whole chain does by skin and by light, as far as the photographs tell it."""
    from training.faces.evaluation.groups import figures_of, groups_text, run_groups

    told = run_groups(faces, yunet, recipe, photos, limit)
    if as_json:
        click.echo(json.dumps({what: figures_of(groups) for what, groups in told.items()}))
    else:
        click.echo(groups_text(told))
