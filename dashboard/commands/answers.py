"""The commands of the questions, from their register."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import RootModel

from dashboard.analysis.query import SampleQuery
from dashboard.commands.exit_codes import CONFIG, DATA
from dashboard.commands.questions import OF_SAMPLE, SEED, question_from
from dashboard.questions.entry import Inquiry, Option, Question, Way
from dashboard.questions.register import QUESTIONS
from edge_agent.core.command_line import Command, warn


def __getattr__(name: str) -> click.Command:
    """Return the command of a question, made when it is asked for by the question's name."""
    for question in QUESTIONS:
        if question.name == name and question.has(Way.COMMAND):
            return _command_of(question)
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Its line in the list is still there until ``make write``.
    raise click.UsageError(f"No such command {name!r}.")


def _command_of(question: Question) -> click.Command:
    def ask(config_file: Path | None, data: Path | None, *, as_json: bool, **options: Any) -> None:
        from dashboard.analysis.unmet import unmet_of_question
        from dashboard.web.options import options_of_reader

        query = question_from(question.query, options)
        own = options_of_reader(config_file, data)
        inquiry = Inquiry((("", own.database),), query, own.models, own.prefer_sources)
        model = question.answer(inquiry)
        click.echo(model.model_dump_json(indent=2) if as_json else question.report(model))
        warn(unmet_of_question(inquiry.sites, query))

    ask.__doc__ = question.help
    own = (CONFIG, DATA, _json_option(question), *question.options)
    of_sample = OF_SAMPLE if issubclass(question.query, SampleQuery) else ()
    # What is described alone has no random part.
    of_chance = (SEED,) if "seed" in question.query.model_fields else ()
    asked: Callable[..., Any] = ask
    for option in reversed((*own, *of_sample, *of_chance)):
        asked = option(asked)
    command = click.command(
        question.command_name, cls=Command, context_settings={"help_option_names": ["-h", "--help"]}
    )
    return command(asked)


def _json_option(question: Question) -> Option:
    """Return the option that prints the model; where the API answers it, that is said."""
    is_list = issubclass(question.model, RootModel)
    text = "Print one JSON list" if is_list else "Print one JSON object"
    if question.has(Way.API):
        text += f", the response of /api/v1/{question.name}"
    return click.option("--json", "as_json", is_flag=True, help=f"{text}.")
