"""The page of what is wrong with labelled faces. It shows faces: not for everybody's eyes."""

import html

import numpy as np
from numpy.typing import NDArray

from training.problems.find import BLANK, COPY, DOUBTED, NO_FACE, UNLIKE, Findings, Problem
from training.publishing.html_page import FACES_STYLE, html_faces, html_page, html_table

PAGE = "problems.html"
TABLE = "problems.csv"
SHOWN = 24
"""Pictures that are shown of each kind, at most, evenly over all."""
_TITLE = "What is wrong with the data"
_NO_FACE = """No network is sure what the picture expresses (0.7 or more), and the agent's detector
finds no face (score below 0.1), or hardly one (below 0.3), which is only to be looked at."""
_COPY = """At most 30 of the 256 bits of the difference hash differ from a picture that is kept: one
that is evaluated, else the first."""
_DOUBTED = """Both shipped networks are confident of the same other category, by the rule of
confident learning (Northcutt, Jiang and Chuang 2021, doi 10.1613/jair.1.12125). They may both be
wrong. They have learnt from Training of FER2013 with its votes, so they doubt fewer of those."""
_HEADINGS = {
    BLANK: ("Blank", "Pictures of one single grey."),
    NO_FACE: ("No face", _NO_FACE),
    COPY: ("Near-copies", _COPY),
    UNLIKE: ("Near-copies that are labelled otherwise", "One of each is labelled wrongly."),
    DOUBTED: ("Labels that the networks doubt", _DOUBTED),
}
_INTRODUCTION = """<p><strong>{left_out:,} of {given:,} pictures of {data} would be left
out.</strong> What is evaluated (PublicTest, PrivateTest) is named and stays, so that figures can be
compared. Change the column <code>leave_out</code> of <code>problems.csv</code> where you know
better, then: <code>python -m training fit … --without problems.csv</code></p>"""


def problems_page(findings: Findings) -> bytes:
    """The page: counts, then each kind with its rule and some of its pictures."""
    rows = [
        (f"{_HEADINGS[kind][0]}, {usage}", f"{number:,}", f"{out:,}")
        for usage, kinds in findings.counts.items()
        for kind, (number, out) in kinds.items()
    ]
    body = [
        f"<h1>{_TITLE}</h1>",
        _INTRODUCTION.format(
            left_out=len(findings.left_out),
            given=len(findings.faces),
            data=html.escape(findings.data.name),
        ),
        html_table(("what", "pictures", "to leave out"), rows),
    ]
    if findings.unreadable:
        names = ", ".join(map(html.escape, findings.unreadable))
        body.append(f"<p>Cannot be read, and always left out: {names}</p>")
    for kind, (heading, rule) in _HEADINGS.items():
        some = [one for one in findings.problems if one.kind == kind]
        if some:
            body.append(f"<h2>{heading}</h2><p>{rule}</p>")
            body.append(html_faces(_shown(findings, one) for one in _spread(some)))
    return html_page(_TITLE, body, FACES_STYLE).encode()


def _spread(problems: list[Problem]) -> list[Problem]:
    """At most ``SHOWN`` of them, evenly over all."""
    step = max(1, -(-len(problems) // SHOWN))
    return problems[::step]


def _shown(findings: Findings, one: Problem) -> tuple[list[NDArray[np.uint8]], str]:
    pictures = [findings.faces.pictures[one.index]]
    if one.other is not None:
        pictures.append(findings.faces.pictures[one.other])
    return pictures, f"{findings.names[one.index]}: {one.what}"
