"""Sentences about choices that met nothing: translations, exceptions or preferences of a person,
whose value no data have.

One sentence for all commands, imports and pages: it names the value, the option or field, and what
there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge_agent.core.texts import N_, Message, as_message

EVERY_TIME_HAS_A_ZONE = N_("every time here has a zone of its own")
"""Why a time zone met nothing."""
_SHOWN = 8
_UNMET = N_("{value}, given with {option}, met nothing. There is: {there}.")
_UNMET_AND_NOTHING = N_("{value}, given with {option}, met nothing: there is none here.")
_UNMET_BECAUSE = N_("{value}, given with {option}, met nothing: {why}.")
_SWITCH_UNMET = N_("{option} met nothing: {why}.")


def unmet_choices(
    option: str, given: Iterable[str], there: Iterable[str], same: Callable[[str], str] = str
) -> list[Message]:
    """Return a sentence for each value that is not there.

    Args:
        option: how the values were given: an option, or the title of a field.
        given: the values.
        there: all that could be met.
        same: makes one text of values that mean the same.

    Example:
        >>> unmet_choices("--leave-out", ["P1", "P9"], ["p1", "p2"], str.casefold)
        ['P9, given with --leave-out, met nothing. There is: p1, p2.']
    """
    known = sorted({*there})
    met = {same(one) for one in known}
    left = [one for one in dict.fromkeys(given) if same(one) not in met]
    if not known:
        return [Message(_UNMET_AND_NOTHING, value=one, option=option) for one in left]
    more = ", …" if len(known) > _SHOWN else ""
    names = ", ".join(known[:_SHOWN]) + more
    return [Message(_UNMET, value=one, option=option, there=names) for one in left]


def unmet_choice(option: str, value: str, why: str) -> Message:
    """Return the sentence for a value that decided nothing.

    Args:
        option: how it was given.
        value: the value; empty: the option has none.
        why: what there is instead, as the rest of the sentence.

    Example:
        >>> unmet_choice("--dates", "dmy", "no date here needs it")
        'dmy, given with --dates, met nothing: no date here needs it.'
    """
    if not value:
        return Message(_SWITCH_UNMET, option=option, why=as_message(why))
    return Message(_UNMET_BECAUSE, value=value, option=option, why=as_message(why))


def is_unmet(text: object) -> bool:
    """Tell whether a text is such a sentence."""
    known = {_UNMET, _UNMET_AND_NOTHING, _UNMET_BECAUSE, _SWITCH_UNMET}
    return isinstance(text, Message) and text.template in known
