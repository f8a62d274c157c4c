"""Operations and errors of the API, in docs/api.md, from the description that it gives itself."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from dashboard.web.app import create_app
from dashboard.web.errors import KINDS
from dashboard.web.options import DashboardOptions

_RIGHTS = re.compile(r"A token needs the scope `(\w+)` and the role (\w+)")
_END = re.compile(r"(?<=[.;]) |\n\n")
"""End of the first sentence of a description."""


def operations() -> str:
    """Return the table of operations in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        document = create_app(DashboardOptions(data=Path(folder))).openapi()
    rows = [
        _row(f"{method.upper()} {path}", operation)
        for path, methods in sorted(document["paths"].items())
        for method, operation in methods.items()
    ]
    head = "| operation | what it does | scope | least role |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def errors() -> str:
    """Return the table of errors in Markdown."""
    rows = [
        f"| {status} | `{kind.name}` | {kind.title} | {kind.what_to_do} |"
        for status, kind in KINDS.items()
    ]
    head = "| status | type ends in | title | what to do |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _row(name: str, operation: dict[str, Any]) -> str:
    about = operation["description"]
    rights = _RIGHTS.search(about)
    scope, role = rights.groups() if rights else ("", "")
    first = " ".join(_END.split(about)[0].rstrip(".;").replace("``", "`").split())
    return f"| `{name}` | {first.replace('|', chr(92) + '|')} | {scope} | {role} |"
