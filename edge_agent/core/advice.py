"""Names and paths in what people are told to type: others may have chosen them.

A folder may be called ``x ~ & reboot #``, or hold what a terminal obeys. So whatever is put into a
command that a message gives goes through ``shell_word``, and whatever stands in a sentence may go
through ``printable``.
"""

from __future__ import annotations

import shlex

from edge_agent.core.bounds import printable


def printable_lines(text: object) -> str:
    """Return a message for a terminal, with its line breaks and no other control characters."""
    return "\n".join(map(printable, str(text).split("\n")))


def shell_word(text: object) -> str:
    """Return a path or a name as one word of a command, whatever it holds."""
    return shlex.quote(printable(str(text)))
