"""The commands of the questions, from their register."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dashboard.commands.exit_codes import CONFIG, DATA
from dashboard.commands.questions import OF_SAMPLE, SEED, question_from
from dashboard.questions.entry import Inquiry, Option, Question, json_option
from dashboard.questions.register import QUESTIONS
from edge_agent.core.command_line import Command


def __getattr__(name: str) -> click.Command:
    """Return the command of a question, made when it is asked for by the question's name."""
    for question in QUESTIONS:
        if question.name == name and question.report is not None:
            return _command_of(question, question.report)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _command_of(question: Question, report: Callable[[Any], str]) -> click.Command:
    def ask(config_file: Path | None, data: Path | None, *, as_json: bool, **options: Any) -> None:
        from dashboard.web.settings import options_of_reader

        query = question_from(question.query, options)
        own = options_of_reader(config_file, data)
        inquiry = Inquiry((("", own.database),), query, own.models, own.prefer_sources)
        model = question.answer(inquiry)
        click.echo(model.model_dump_json(indent=2) if as_json else report(model))

    ask.__doc__ = question.help
    own: tuple[Option, ...] = (CONFIG, DATA, json_option(question.name), *question.options)
    asked: Callable[..., Any] = ask
    for option in reversed((*own, *OF_SAMPLE, SEED)):
        asked = option(asked)
    command = click.command(
        question.name, cls=Command, context_settings={"help_option_names": ["-h", "--help"]}
    )
    return command(asked)
