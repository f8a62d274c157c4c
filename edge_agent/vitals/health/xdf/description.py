"""The XML in a recording: who sends a stream, and what its channels are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

_DEEPEST = 64
_MOST_NODES = 100_000


class DescriptionError(Exception):
    """A description is no XML, or larger or deeper than any program writes."""


@dataclass(slots=True)
class XdfNode:
    """An element.

    Attributes:
        name: its tag.
        text: the text in it.
        children: the elements in it.
    """

    name: str
    text: str = ""
    children: list[XdfNode] = field(default_factory=list)

    def each(self, name: str) -> Iterator[XdfNode]:
        """Yield the children of a name."""
        return (child for child in self.children if child.name == name)

    def at(self, *path: str) -> XdfNode:
        """Return the first element at a path; an empty one where there is none."""
        node = self
        for name in path:
            node = next(node.each(name), XdfNode(name))
        return node

    def text_at(self, *path: str) -> str:
        """Return the text of the first element at a path; empty: there is none."""
        return self.at(*path).text.strip()


class _Builder:
    """Makes nodes of the events of the parser."""

    def __init__(self) -> None:
        self.root = XdfNode("")
        self._open = [self.root]
        self._count = 0

    def start(self, tag: str, _: object) -> None:
        self._count += 1
        if len(self._open) > _DEEPEST or self._count > _MOST_NODES:
            raise DescriptionError(
                f"has more than {_DEEPEST} elements within each other, or {_MOST_NODES:,}"
            )
        node = XdfNode(tag)
        self._open[-1].children.append(node)
        self._open.append(node)

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        self._open[-1].text += text

    def refuse(self, *_: object) -> None:
        # entities of a document type may expand without end
        raise DescriptionError("declares a document type or entities")


def read_xml(raw: bytes) -> XdfNode:
    """Return the outermost element.

    Raises:
        DescriptionError: it is no XML, declares entities, or is too large or too deep.
    """
    builder = _Builder()
    parser = expat.ParserCreate("UTF-8")  # whatever its first line says
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.EntityDeclHandler = builder.refuse
    try:
        parser.Parse(raw.decode("utf-8", "replace").rstrip("\0").encode(), True)
    except expat.ExpatError as error:
        raise DescriptionError(f"is no XML ({expat.ErrorString(error.code)})") from error
    return builder.root.children[0]
