"""The documentation as a site: `make docs`.

python -m tools.documents.build_site [--out FOLDER] [--serve]

Sphinx reads Markdown by MyST and draws it by Furo; nothing is loaded from elsewhere. Its source is
made first: the pages of ``docs`` and those beside it, with the reference in them and every link
changed to where its target lies in the site. A link to anything else, or to no heading, ends the
build. Each heading becomes an entry of the index.
"""

from __future__ import annotations

import argparse
import http.server
import posixpath
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.documents.reference import text_of, write_docs

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "site"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "training/README.md": "training/index.md",
    "training/RESULTS.md": "training/results.md",
}
"""Page outside ``docs`` → its place in the site."""
FILES = {
    "config/affect-edge.toml": "files/affect-edge.toml",
    "benchmarks/bars.toml": "files/bars.toml",
    "container/fleet/kubernetes/kustomization.yaml": "files/kustomization.yaml",
    "dashboard/protocols/examples/anger-happiness-neutral.toml": (
        "files/anger-happiness-neutral.toml"
    ),
    "dashboard/protocols/examples/three-conditions.toml": "files/three-conditions.toml",
    "edge_agent/vision/quality.py": "files/quality.py",
    "tests/unit/timeline/database/test_upgrade.py": "files/test_upgrade.py",
}
"""File that a page links to → its place in the site."""
PLACES = PAGES | FILES
FOLDERS = {"docs/models": "models/expression.md"}
"""Folder that a page links to → the page that is shown for it."""
CONTENTS = {
    "Start": (
        *("tutorial", "faq", "glossary", "limits", "comparison", "measured", "literature"),
        *("literature/systems", "literature/ablation"),
    ),
    "Researchers": (
        *("study-guide", "statistics", "statistics-formulas", "attribution", "own-neutral"),
        *("protocols", "importing", "export", "data", "privacy-notice", "languages", "control"),
    ),
    "Carers and clinicians": ("dashboard", "sensors", "alerts", "backup", "encryption"),
    "Makers": (
        *("install", "hardware", "first-hour", "image", "containers", "cameras", "movements"),
        *("commands", "configuration", "mqtt", "home-assistant", "api", "monitoring", "fleet"),
        *("reliability", "troubleshooting"),
    ),
    "Model builders": (
        *("training/index", "training/results", "models/expression"),
        *("models/expression-accurate", "models/expression-fast"),
    ),
    "The project": (
        *("architecture", "contributing", "security", "security/provisions"),
        *("security-policy", "changelog", "genindex"),
    ),
}
"""Heading of the contents → its pages. A page that is in none ends the build."""
SOUGHT = {
    "docs/alerts.md": ("letters", "notifications", "quiet hours"),
    "docs/api.md": ("HTTP", "REST", "token"),
    "docs/backup.md": ("back up", "backups", "move to another Pi", "restore"),
    "docs/cameras.md": ("RTSP", "USB camera", "webcam"),
    "docs/data.md": ("CSV columns", "database", "power cut", "SQL", "synchronous", "WAL"),
    "docs/encryption.md": ("password of the disk",),
    "docs/importing.md": ("Apple Health", "E4", "Fitbit", "Garmin", "import readings", "XDF"),
    "docs/install.md": ("uninstall", "update"),
    "docs/sensors.md": ("Bluetooth", "chest strap", "cuff"),
    "docs/statistics.md": ("Holm", "p value", "t-test"),
    "docs/troubleshooting.md": ("errors", "problems"),
}
"""Page → what people search for and no heading of it says."""
SETTINGS: dict[str, Any] = {
    "project": "Affect Edge",
    "extensions": ["myst_parser"],
    "html_theme": "furo",
    "html_title": "Affect Edge",
    "html_copy_source": False,
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "html_domain_indices": False,
    "myst_heading_anchors": 6,
    "pygments_style": "friendly",
}
LINK = re.compile(r"(?P<before>\]\(|^\[[^\]\n]+\]: )(?P<target>[^)\s]+)", re.MULTILINE)
OPENING = re.compile(
    r"^(?:\d+\. )?(?:(?:How|What|Which|When|Where|Why|Who) )?"
    r"(?:(?:Can|Do|Does|Is|Are|Must|Should|May) )?(?:(?:I|we|you|it|there) )?(?:(?:an?|the) )?",
    re.IGNORECASE,
)
"""What stands before the first word of a heading by which somebody would look for it."""
HEADING = re.compile(r"(?P<marks>#{2,3}) (?P<text>.+)")
SAVED = re.compile(r'download="" (?=href="[^"]+\.html")')
"""Attribute that makes a browser save a page."""
FENCE = re.compile(r"\s*(?:```|~~~)")
NOT_INDEXED = ("CHANGELOG.md", "CONTRIBUTING.md")


class NotPartOfTheSiteError(Exception):
    """A page links to a file that the site lacks."""


def place_of(source: str) -> str:
    """Return where a file of the repository lies in the site.

    Raises:
        NotPartOfTheSiteError: nowhere.
    """
    if source in FOLDERS:
        return FOLDERS[source]
    if source.startswith("docs/"):
        return source.removeprefix("docs/")
    if source not in PLACES:
        raise NotPartOfTheSiteError(
            f"{source} is not part of the site: name it in {Path(__file__).name}"
        )
    return PLACES[source]


def with_links(text: str, source: str) -> str:
    """Return the text of a page with its links as they are in the site.

    Args:
        text: in Markdown.
        source: path of the page in the repository.
    """
    place = place_of(source)

    def changed(link: re.Match[str]) -> str:
        parts = urlsplit(link["target"])
        if parts.scheme or not parts.path:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), parts.path))
        path = posixpath.relpath(place_of(target), posixpath.dirname(place) or ".")
        return link["before"] + path + (f"#{parts.fragment}" if parts.fragment else "")

    return LINK.sub(changed, text)


def index_entry(heading: str) -> str:
    """Return what the index lists for a heading: its words, without what makes it a question.

    Search finds an entry by half of its letters, and shows it before all that is only in a text.
    """
    words = re.sub(r"[`*;!?]|\[|\]\([^)]*\)", "", heading)
    return OPENING.sub("", words).replace(" be in ", " in ")


def with_index(text: str, sought: Sequence[str] = ()) -> str:
    """Return the text of a page with an entry of the index above each heading of two levels.

    Args:
        text: in Markdown.
        sought: further entries, for the whole page.
    """
    lines = directives(sought)
    fenced = False
    for line in text.split("\n"):
        if FENCE.match(line):
            fenced = not fenced
        heading = HEADING.fullmatch(line)
        if heading and not fenced:
            lines += directives([index_entry(heading["text"])])
        lines.append(line)
    return "\n".join(lines)


def directives(entries: Sequence[str]) -> list[str]:
    """Return the lines that put entries into the index."""
    return [line for entry in entries for line in (f"```{{index}} ! single: {entry}", "```", "")]


def contents() -> str:
    """Return the contents of the site as MyST reads them, for the end of the first page."""
    parts = []
    for caption, names in CONTENTS.items():
        listed = "\n".join(names)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n")
    return "\n\n" + "\n".join(parts)


def write_source(folder: Path) -> None:
    """Write what Sphinx reads.

    Args:
        folder: it is made.

    Raises:
        NotPartOfTheSiteError: a page links to a file that the site lacks.
    """
    write_docs(ROOT, folder)
    for source, place in PLACES.items():
        target = folder / place
        target.parent.mkdir(exist_ok=True)
        if source in PAGES:
            target.write_text(text_of(source), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / source, target)
    outside = {place: source for source, place in PAGES.items()}
    for page in folder.rglob("*.md"):
        place = page.relative_to(folder).as_posix()
        source = outside.get(place, f"docs/{place}")
        text = with_links(page.read_text(encoding="utf-8"), source)
        if source not in NOT_INDEXED:
            text = with_index(text, SOUGHT.get(source, ()))
        if place == "index.md":
            text += contents()
        page.write_text(text, encoding="utf-8")


def build(out: Path) -> int:
    """Build the site.

    Args:
        out: what is there is replaced.

    Returns:
        0, or 1 when there was a warning.
    """
    from sphinx.application import Sphinx

    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / "source"
        write_source(source)
        app = Sphinx(
            source,
            None,
            out,
            Path(made) / "doctrees",
            "html",
            confoverrides=SETTINGS,
            status=None,
            warningiserror=True,
            parallel=2,
        )
        app.build(force_all=True)
    show_pages(out)
    return int(app.statuscode)


def show_pages(out: Path) -> None:
    """Let browsers show the pages that Sphinx did not make, such as the codebook, in place of
    saving them.
    """
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        shown = SAVED.sub("", text)
        if shown != text:
            page.write_text(shown, encoding="utf-8")


def main() -> int:
    """Build the site, and serve it where that is asked for; the exit code is 1 after a warning."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUILT, help="folder of the site")
    parser.add_argument("--serve", action="store_true", help="show it in a browser, port 8000")
    options = parser.parse_args()
    if status := build(options.out):
        return status
    print(options.out)
    if options.serve:
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(options.out))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 8000), handler) as server:
            print("http://127.0.0.1:8000/")
            server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
