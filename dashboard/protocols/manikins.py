"""The figures of the nine points of valence and arousal, drawn as SVG.

They are drawings of our own: a head and shoulders whose mouth and brows say how pleasant it is, and
whose eyes and the burst in its chest say how excited.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import cos, pi, sin

from markupsafe import Markup

from dashboard.protocols.texts import Scale

POINTS = range(1, 10)
_SPIKES = 9
_BODY = '<circle cx="24" cy="15" r="12"/><path d="M6 57c0-17 6-26 18-26s18 9 18 26z" class="body"/>'


@cache
def figures() -> Mapping[str, tuple[Markup, ...]]:
    """Return by scale the figures of its nine points."""
    drawn = {Scale.VALENCE: _valence, Scale.AROUSAL: _arousal}
    return {
        scale.value: tuple(_svg(draw((point - 5) / 4)) for point in POINTS)
        for scale, draw in drawn.items()
    }


def _svg(drawn: str) -> Markup:
    return Markup(  # noqa: S704 - made of numbers alone
        '<svg class="figure" viewBox="0 0 48 58" aria-hidden="true" focusable="false">'
        f"{_BODY}{drawn}</svg>"
    )


def _valence(degree: float) -> str:
    """Draw a mouth and brows; −1 is very unpleasant, 1 very pleasant."""
    corner, middle = 20.5 - 2.5 * degree, 20.5 + 4.5 * degree
    # Brows rise towards the nose where it is unpleasant, and as a whole where it is pleasant.
    inner, outer = 9.5 - abs(degree), 9.5 - max(0.0, degree) + 1.2 * max(0.0, -degree)
    return (
        f'<path d="M17.5 {corner:.2f}Q24 {middle:.2f} 30.5 {corner:.2f}"/>'
        f'<path d="M15.5 {outer:.2f}L21 {inner:.2f}M32.5 {outer:.2f}L27 {inner:.2f}"/>'
        '<circle class="ink" cx="19" cy="13.5" r="1.4"/>'
        '<circle class="ink" cx="29" cy="13.5" r="1.4"/>'
    )


def _arousal(degree: float) -> str:
    """Draw eyes that open and a burst in the chest that grows; −1 is very calm, 1 very excited."""
    awake = (degree + 1) / 2
    return (
        _eye(19, awake)
        + _eye(29, awake)
        + '<path d="M20 20.5h8"/>'
        + f'<path class="ink" d="{_burst(1.2 + 9.3 * awake)}"/>'
    )


def _eye(x: float, awake: float) -> str:
    if awake < 0.2:
        return f'<path d="M{x - 2.5} 13q2.5 1.6 5 0"/>'
    height = 0.7 + 2.4 * awake
    return f'<ellipse class="ink" cx="{x}" cy="13" rx="1.9" ry="{height:.2f}"/>'


def _burst(radius: float) -> str:
    """Return a star around the middle of the chest."""
    places = []
    for corner in range(2 * _SPIKES):
        length = radius if corner % 2 == 0 else radius * 0.55
        angle = pi * corner / _SPIKES
        places.append(f"{24 + length * sin(angle):.2f} {45 - length * cos(angle):.2f}")
    return f"M{'L'.join(places)}z"
