"""The command ``data-problems``: what is wrong with labelled faces, before a training."""

from pathlib import Path

import click

from training.commands.options import CACHE, FILE


@click.command("data-problems")
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
    from training.files import check_new_folder, write_all
    from training.problems.find import find_problems
    from training.problems.page import PAGE, TABLE, problems_page

    check_new_folder(out, data)
    findings = find_problems(data, votes, cache=cache)
    write_all(out, {TABLE: findings.as_csv(), PAGE: problems_page(findings)})
    click.echo(findings.as_text())
    click.echo(f"The report: {out / PAGE}")
