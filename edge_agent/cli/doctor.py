"""The commands that find what is wrong: for people, and for programs that watch."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import NoReturn

import click

from edge_agent.cli.options import common_options, json_option, load, log_to_stderr


@click.command()
@common_options
@json_option
@click.option("--deep", is_flag=True, help="Read the whole database and each copy of it.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write an archive (ZIP) for those who help, without personal data.",
)
def doctor(
    config: Path | None, data: Path | None, as_json: bool, deep: bool, bundle: Path | None
) -> None:
    """Find what is wrong on this machine, and say what to do."""
    log_to_stderr(logging.CRITICAL)
    from edge_agent.appliance.doctor import diagnose, exit_code
    from edge_agent.appliance.findings import Finding, Verdict
    from edge_agent.config import at_home, load_right_part

    settings, wrong = load_right_part(config)
    folder = at_home(data or settings.data.folder)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.verdict.value:8} {finding.check}: {finding.found}")
            if finding.cure:
                click.echo(f"{'':8} → {finding.cure}")

    if wrong is not None:
        click.echo(f"affect-edge: {wrong}", err=True)
        cure = "Correct it; what follows is judged without what is wrong."
        tell(Finding("configuration", Verdict.PROBLEM, str(wrong), cure))
    for finding in diagnose(settings, folder, deep=deep):
        tell(finding)
    if as_json:
        click.echo(
            json.dumps(
                [
                    {"check": f.check, "verdict": f.verdict, "found": f.found, "cure": f.cure}
                    for f in findings
                ]
            )
        )
    if bundle is not None:
        from edge_agent.appliance.support_bundle import write_bundle

        write_bundle(bundle, settings, folder, findings)
        click.echo(f"{bundle} can be handed on; look into it first.", err=True)
    if wrong is not None:
        sys.exit(2)
    sys.exit(exit_code(findings))


@click.command()
@common_options
@click.argument("part", required=False, type=click.Choice(["agent", "dashboard"]))
@click.option(
    "--collector",
    type=click.Path(path_type=Path),
    help="Ask about a collector instead: the file that it was told by --health-file.",
)
def health(
    config: Path | None, data: Path | None, part: str | None, collector: Path | None
) -> None:
    """Say whether the agent and the dashboard of this data folder answer, or only PART.

    For programs that watch them: ends with 0 if all that was asked for answers, with 1 if not.
    """
    if collector is not None:
        _collector_health(collector, part)
    log_to_stderr(logging.CRITICAL)
    settings, folder = load(config, data)
    from edge_agent.appliance.signs_of_life import agent_answers, dashboard_answers

    signs = {
        "agent": lambda: agent_answers(folder),
        "dashboard": lambda: dashboard_answers(settings.dashboard),
    }
    answers = {name: signs[name]() for name in ([part] if part else signs)}
    for name, answered in answers.items():
        click.echo(f"{name}: {'answers' if answered else 'does not answer'}")
    sys.exit(int(not all(answers.values())))


def _collector_health(file: Path, part: str | None) -> NoReturn:
    """Say what is wrong with a collector, if anything."""
    if part is not None:
        raise click.UsageError(f"Ask about {part} or about a collector, not about both.")
    from edge_agent.fleet.collector_health import read_problem

    problem = read_problem(file)
    click.echo(f"collector: {problem or 'works'}")
    sys.exit(int(bool(problem)))
