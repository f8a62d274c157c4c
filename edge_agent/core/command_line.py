"""Commands that refuse an option given twice, of which click would keep the last in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import click


class Command(click.Command):
    """A command in which each option stands once, unless it may be repeated."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of a command line.

        Raises:
            click.UsageError: an option that has one value has several.
        """
        if not ctx.resilient_parsing:  # completion reads half a line
            _refuse_repeated(self, ctx, args)
        return super().parse_args(ctx, args)


class Group(Command, click.Group):
    """A group of such commands; what is added to it is one, too."""

    command_class = Command
    group_class = type


def warn(sentences: Iterable[str]) -> None:
    """Print sentences to standard error, beside an answer."""
    for sentence in sentences:
        click.echo(sentence, err=True)


def _refuse_repeated(command: click.Command, ctx: click.Context, args: Sequence[str]) -> None:
    # Parsed a first time for the order alone, in which an option stands as often as it was given.
    *_, order = command.make_parser(ctx).parse_args(args=list(args))
    # By name, for --on and --off are two options of one value.
    counts = Counter(one.name for one in order if isinstance(one, click.Option))
    for option in order:
        if counts[option.name] > 1 and isinstance(option, click.Option) and _has_one_value(option):
            name = max(option.opts, key=len)
            values = _values_of(option, args)
            told = f" ({', '.join(values)})" if values else ""
            raise click.UsageError(
                f"{name} was given {counts[option.name]} times{told}, and takes one value. Give it "
                "once; for several, run the command once for each.",
                ctx,
            )


def _has_one_value(option: click.Option) -> bool:
    """Tell whether a second value would replace the first; a flag given twice says the same."""
    is_plain_flag = option.is_flag and not option.secondary_opts
    return not (option.multiple or option.count or is_plain_flag)


def _values_of(option: click.Option, args: Sequence[str]) -> list[str]:
    """Return the values of an option, as they stand on the command line."""
    if option.is_flag or option.hide_input:
        return []
    values = []
    for place, word in enumerate(args):
        name, equals, value = word.partition("=")
        if name in option.opts:
            following = args[place + 1 : place + 1 + option.nargs]
            values.append(value if equals else " ".join(following))
    return values
