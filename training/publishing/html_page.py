"""A page of HTML that stands alone: headings, tables, pictures; light and dark."""

import html
from collections.abc import Sequence

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
