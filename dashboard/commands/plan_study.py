"""``affect-edge plan-study``: how many people a study needs, before there are any data."""

from __future__ import annotations

from typing import Any

import click
from pydantic import ValidationError

from dashboard.analysis.planning.plan import PlanQuery, plan_of
from dashboard.analysis.query import describe
from dashboard.analysis.request import Correction
from dashboard.commands.exit_codes import run_command
from edge_agent.core.vitals import TESTED


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--vital", type=click.Choice([kind.value for kind in TESTED]), default="heart_rate")
@click.option("--difference", type=float, help="Smallest difference worth finding, in its unit.")
@click.option("--sd", type=float, help="Standard deviation between people in one state.")
@click.option(
    "--correlation", type=float, default=0.7, show_default=True, help="Of a person's two."
)
@click.option("--sd-difference", type=float, help="Of a person's differences, for sd, correlation.")
@click.option("--d-z", type=float, help="Difference over that, in place of all these.")
@click.option("--design", type=click.Choice(["paired", "groups"]), default="paired")
@click.option("--tests", type=int, default=9, show_default=True, help="Size of the family.")
@click.option("--correction", type=click.Choice([one.value for one in Correction]), default="holm")
@click.option("--power", type=float, default=0.8, show_default=True, help="Above 0.05, below 1.")
@click.option(
    "--order", type=float, default=0.5, show_default=True, help="Share who meet one state first."
)
def plan_command(*, as_json: bool, **options: Any) -> None:
    """Say how many people a study needs, by the rule that decides in its family of tests."""
    try:
        query = PlanQuery.model_validate(options)
    except ValidationError as error:
        raise click.UsageError(" ".join(describe(error))) from error
    answer = plan_of(query)
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
        return
    click.echo(answer.sentence)
    for point in answer.curve:
        click.echo(f"{point.n:6}  {100 * point.power:5.1f} %")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code: 0 done, 1 failed while running, 2 wrong use."""
    return run_command(plan_command, arguments, "affect-edge plan-study")
