"""Sentences about choices that met nothing: translations, exceptions or preferences of a person,
whose value no data have.

One sentence for all commands, imports and pages: it names the value, the option or field, and what
there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge_agent.core.texts import N_, Message

_SHOWN = 8
_UNMET = N_("{value}, given with {option}, met nothing. There is: {there}.")
_UNMET_AND_NOTHING = N_("{value}, given with {option}, met nothing: there is none here.")


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


def is_unmet(text: object) -> bool:
    """Tell whether a text is such a sentence."""
    return isinstance(text, Message) and text.template in {_UNMET, _UNMET_AND_NOTHING}
