"""Turn the documents of the statistics into the page of the dashboard.

python tools/render_statistics.py

The dashboard may run where there is no network and no documentation, and needs no Markdown library
for one page. A test fails when the page is not that of the text.
"""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt

HERE = Path(__file__).resolve().parent.parent
SOURCES = tuple(HERE / "docs" / name for name in ("statistics.md", "statistics-formulas.md"))
PAGE = HERE / "dashboard" / "web" / "templates" / "_statistics.html"


def render(*documents: str) -> str:
    """Return the texts as HTML without their titles: a list, and sections that fold.

    A link to a section of one of them stays on the page; one to another document, which the
    dashboard does not have, becomes its text.
    """
    markdown = "\n".join(one.partition("\n")[2] for one in documents)
    # The page shows no pictures of other pages.
    markdown = re.sub(r"^!\[[^]]*\]\([^)]*\)\n+", "", markdown, flags=re.MULTILINE)
    markdown = re.sub(r"\]\(statistics(?:-formulas)?\.md(?=#)", "](", markdown)
    markdown = re.sub(r"\[([^]]*)\]\((?!#)[^)]*\)", r"\1", markdown)
    tokens = MarkdownIt("commonmark").enable("table")
    body = tokens.render(markdown)
    titles: list[tuple[str, str]] = []

    def section(heading: re.Match[str]) -> str:
        anchor = re.sub(r"[^a-z0-9]+", "-", heading[1].lower()).strip("-")
        titles.append((anchor, heading[1]))
        return f'<details class="fold" id="{anchor}"><summary><h3>{heading[1]}</h3></summary>'

    before, *sections = re.split(r"(?=<h2>)", body)
    folds = (re.sub(r"<h2>(.*?)</h2>", section, one) + "</details>\n" for one in sections)
    body = before + "".join(folds)
    body = re.sub(r"<table>(.*?)</table>", _table, body, flags=re.DOTALL)
    contents = "".join(f'<li><a href="#{anchor}">{title}</a></li>\n' for anchor, title in titles)
    return (
        "{# Made by tools/render_statistics.py from docs/statistics.md. #}\n{% raw %}\n"
        f'<nav aria-label="Sections"><ul>\n{contents}</ul></nav>\n{body}{{% endraw %}}\n'
    )


def _table(table: re.Match[str]) -> str:
    """Return a table whose rows are cards on a phone, where each cell names its column."""
    heads = re.findall(r"<th>(.*?)</th>", table[1])

    def row(line: re.Match[str]) -> str:
        first, *rest = re.findall(r"<td>(.*?)</td>", line[1], re.DOTALL)
        cells = (
            f'<td data-label="{head}:">{cell}</td>' if cell else "<td></td>"
            for head, cell in zip(heads[1:], rest, strict=True)
        )
        return "\n".join(("<tr>", f'<th scope="row">{first}</th>', *cells, "</tr>"))

    head, _, body = table[1].partition("<tbody>")
    head = head.replace("<th>", '<th scope="col">')
    body = re.sub(r"<tr>(.*?)</tr>", row, body, flags=re.DOTALL)
    return f'<table class="table table-stack">{head}<tbody>{body}</table>'


if __name__ == "__main__":
    PAGE.write_text(render(*(one.read_text(encoding="utf-8") for one in SOURCES)), encoding="utf-8")
