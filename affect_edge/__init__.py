"""The commands of ``affect-edge``.

Exit codes: 0 done, 1 failed while running, 2 wrong use or configuration. ``--json`` prints only
JSON on stdout; everything else goes to standard error. Each command imports what it needs when it
runs, so that ``--help`` is quick.

Example:
    Run a command from Python, as the tests do::

        cli.main(["config", "check", "affect-edge.toml"], standalone_mode=False)
"""

from affect_edge.app import main
from affect_edge.options import cli

__all__ = ["cli", "main"]
