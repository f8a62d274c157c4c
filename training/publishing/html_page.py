"""A page of HTML that stands alone: headings, tables, pictures; light and dark."""

import base64
import html
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

FACES_STYLE = """
.faces { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
.faces img { width: 96px; image-rendering: pixelated; margin-right: 4px; vertical-align: top; }
.faces li { width: 14rem; overflow-wrap: anywhere; }
.faces span { display: block; }
"""
"""Rules for :func:`html_faces`."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1b2733; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #c9d6e2; padding: .3rem .7rem; text-align: left; }
td:not(:first-child), th:not(:first-child) { text-align: right; }
.wide { overflow-x: auto; }
img { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #14191f; }
  img { background: #fff; } }
"""


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text cells; a wide one scrolls by itself."""
    parts = ['<div class="wide"><table><thead><tr>']
    parts += [f'<th scope="col">{html.escape(cell)}</th>' for cell in head]
    parts.append("</tr></thead><tbody>")
    for row in rows:
        parts.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
    parts.append("</tbody></table></div>")
    return "\n".join(parts)


def html_faces(faces: Iterable[tuple[Sequence[NDArray[np.uint8]], str]]) -> str:
    """A list of entries: one or several small pictures, and what is said of them, plain text."""
    parts = ['<ul class="faces">']
    for pictures, words in faces:
        images = "".join(f'<img src="{_as_url(picture)}" alt="">' for picture in pictures)
        parts.append(f"<li>{images}<span>{html.escape(words)}</span></li>")
    parts.append("</ul>")
    return "\n".join(parts)


def _as_url(picture: NDArray[np.uint8]) -> str:
    content = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    return f"data:image/png;base64,{content}"


def html_page(title: str, body: Sequence[str], style: str = "") -> str:
    """A whole document.

    Args:
        title: of the window, plain text.
        body: HTML, in lines.
        style: further rules of CSS.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head><body>"
        + "\n".join(body)
        + "</body></html>\n"
    )
