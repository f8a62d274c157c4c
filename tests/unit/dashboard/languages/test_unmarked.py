"""No text of a template or of a page's script is outside the catalogue."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from dashboard.web.delivery import STATIC
from dashboard.web.rendering import HERE
from tests.unit.dashboard.languages.unmarked import unmarked_in_script, unmarked_in_template

TEMPLATES = sorted(HERE.parent.rglob("*.html"))
SCRIPTS = sorted(one for one in (STATIC / "js").glob("*.js") if one.name != "registers.js")
"""All but that of registers, whose words the catalogue finds by their name ``says``."""
NOT_SHOWN = {
    "the chart script could not be loaded",  # an error for the console, as are the next four
    "the answer has ended",
    "unknown in  :  ",
    "unknown screen:  ",
    "not sent",
    " : does not load",  # beside messages of the browser, which are in English, too
    "600  px system-ui, sans-serif",  # a font
    "no condition",  # looked up by its name, as are the next three
    "no face",
    "not known",
    '[data-step="Zoom out"]',
}


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_every_text_of_a_template_is_marked(path: Path) -> None:
    assert unmarked_in_template(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_every_text_of_a_script_is_marked(path: Path) -> None:
    texts = unmarked_in_script(path.read_text(encoding="utf-8"))
    assert [text for text in texts if text not in NOT_SHOWN] == []


def test_every_literal_that_is_translated_is_in_the_catalogue() -> None:
    # ``translate`` and ``said`` look up names of data: what is written there is in no catalogue.
    found = [
        f"{path.name}:{call.lineno}"
        for path in HERE.parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2] in {"translate", "said_of"}
        and any(isinstance(one, ast.Constant) for one in call.args)
    ]
    assert found == []


def test_a_text_that_is_not_marked_would_be_found() -> None:
    page = '<p title="{{ _("Marked") }}">{% trans %}Marked{% endtrans %}</p><b>Bare {{ n }}</b>'
    assert unmarked_in_template(page) == ["Bare"]
    assert unmarked_in_template('<a title="Bare"></a><code>run</code>5 mmHg') == ["Bare"]
    script = '_("Marked text"); say(`bare text ${n}`); /* no text */ import x from "./a.js";'
    assert unmarked_in_script(script) == ["bare text  "]
