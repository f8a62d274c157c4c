"""Commands of ``affect-edge`` in the process of a test.

To start a Python takes longer than most commands; what only a process of its own shows, such as
signals and exit at a closed pipe, other tests judge.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from affect_edge import main
from dashboard.__main__ import main as dashboard_main


@dataclass(frozen=True, slots=True)
class Done:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def affect_edge(*words: object, given: str = "") -> Done:
    """Run ``affect-edge`` with these words in the current folder, and this on its input."""
    out = io.StringIO()
    err = io.StringIO()
    typed = mock.patch.object(sys, "stdin", io.StringIO(given))
    with redirect_stdout(out), redirect_stderr(err), typed:
        code = _code_of([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())


def _code_of(words: list[str]) -> int:
    try:
        if words[0] == "dashboard":  # in place of this process, which is the tests'
            return dashboard_main(words[1:])
        with mock.patch.object(sys, "argv", ["affect-edge", *words]):
            main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
