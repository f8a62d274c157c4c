"""The colours of charts outside pages: those of the style sheet on light ground, as it has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

STYLE_SHEET = Path(__file__).parents[1] / "web/static/app.css"
_FIRST_RULE = re.compile(r":root \{(.*?)\n\}", re.DOTALL)
_VARIABLE = re.compile(r"(--[\w-]+): ([^;]+);")
_USE = re.compile(r"var\((--[\w-]+)\)")
_VEILED = re.compile(r'(fill|stroke)="rgba\((\d+), (\d+), (\d+), ([\d.]+)\)"')


@cache
def light_colours() -> Mapping[str, str]:
    """Return what each variable of the style sheet is on light ground, by its name with dashes."""
    rule = _FIRST_RULE.search(STYLE_SHEET.read_text(encoding="utf-8"))
    assert rule is not None
    return MappingProxyType(dict(_VARIABLE.findall(rule[1])))


def in_light_colours(markup: str) -> str:
    """Return SVG without variables, and with no colour that a program of papers cannot read."""
    plain = _USE.sub(lambda used: light_colours()[used[1]], markup)
    return _VEILED.sub(_as_opacity, plain)


def _as_opacity(veiled: re.Match[str]) -> str:
    name, red, green, blue, share = veiled.groups()
    return f'{name}="#{int(red):02x}{int(green):02x}{int(blue):02x}" {name}-opacity="{share}"'
