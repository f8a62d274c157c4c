"""The command ``faces-evaluate``: a face detector beside YuNet on held-out photographs.

It needs no PyTorch.
"""

import json
from pathlib import Path

import click

_FILE = click.Path(path_type=Path)
RECIPE = Path(__file__).parents[1] / "recipes" / "face-detector.toml"


@click.command("faces-evaluate")
@click.argument("model", default="face-detector")
@click.option(
    "--faces",
    type=_FILE,
    required=True,
    help="Folder with the archives of photographs that the recipe names.",
)
@click.option("--yunet", type=_FILE, required=True, help="ONNX file of YuNet.")
@click.option(
    "--recipe", type=_FILE, default=RECIPE, help="Recipe that says which photographs are held out."
)
@click.option(
    "--score",
    type=click.FloatRange(0.01, 0.99),
    help="Least score of a face; the card's if not given.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only so many photographs of each archive, for a quick look.",
)
@click.option(
    "--note",
    "into_card",
    is_flag=True,
    help="Also write the figures of the bars into the model's card.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def faces_evaluate(
    model: str,
    faces: Path,
    yunet: Path,
    recipe: Path,
    score: float | None,
    limit: int | None,
    into_card: bool,
    as_json: bool,
) -> None:
    """Judge the face detector MODEL beside YuNet on photographs that it did not learn from.

    MODEL is NAME.tflite with NAME.json beside it, or the name of a shipped model (face-detector if
    not given).
    """
    from edge_agent.vision.models.card import find_model
    from training.faces.judging.trial_report import note, report_json, report_text
    from training.faces.judging.trial_run import run_trial

    report = run_trial(model, faces, yunet, recipe, score=score, limit=limit)
    if into_card:
        note(find_model(model), report)
    click.echo(json.dumps(report_json(report)) if as_json else report_text(report))
