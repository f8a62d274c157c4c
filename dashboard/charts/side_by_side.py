"""Two sessions beside each other: means by condition, and the same in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dashboard.languages.current import gettext as _
from dashboard.languages.figures import by_locale, decimal
from dashboard.languages.written import said
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.sessions.summary import MeanReading, SessionSummary


@dataclass(frozen=True, slots=True)
class Pair:
    """A mean in both sessions; ``None`` where a session has none.

    Attributes:
        kind: which vital.
        first: in the first session, in the unit of the vital.
        second: in the second one.
    """

    kind: VitalKind
    first: float | None
    second: float | None

    def shown(self, value: float | None) -> str:
        """Write a mean; a dash where there is none."""
        if value is None:
            return "–"
        return decimal(value, max(1, self.kind.spec.decimals))

    @property
    def difference(self) -> str:
        """The second minus the first, with its sign; a dash where one is missing."""
        if self.first is None or self.second is None:
            return "–"
        written = f"{self.second - self.first:+.{max(1, self.kind.spec.decimals)}f}"
        return by_locale(written.replace("-", "−"))


@dataclass(frozen=True, slots=True)
class Row:
    """A condition of either session.

    Attributes:
        label: what it is called.
        pairs: the vitals, those of every row in one order.
        expressions: the strongest category of each session with its share, 0 to 1; ``None``: no
            face was read.
    """

    label: str
    pairs: tuple[Pair, ...]
    expressions: tuple[tuple[str, float] | None, ...]

    def sentence(self) -> str:
        """Return the row in words; empty where the sessions share no mean."""
        texts = [
            _("{vital} {first} and {second} {unit}").format(
                vital=said(pair.kind.spec.name_in_text),
                first=pair.shown(pair.first),
                second=pair.shown(pair.second),
                unit=pair.kind.spec.unit_shown,
            )
            for pair in self.pairs
            if pair.first is not None and pair.second is not None
        ]
        if not texts:
            return ""
        return f"{self.label}: {', '.join(texts)}."


def side_by_side(
    first: SessionSummary, second: SessionSummary, kinds: tuple[VitalKind, ...]
) -> list[Row]:
    """Return a row for each condition, those of the first session first.

    A condition that comes twice in a session has its first turn in the row.
    """
    each = [{one.label: one for one in reversed(summary.conditions)} for summary in (first, second)]
    labels = dict.fromkeys([*reversed(each[0]), *reversed(each[1])])
    rows = []
    for label in labels:
        summaries = [conditions.get(label) for conditions in each]
        vitals = [one.vitals if one else {} for one in summaries]
        pairs = [Pair(kind, *(_mean(known, kind) for known in vitals)) for kind in kinds]
        expressions = tuple(_strongest(one.expression if one else None) for one in summaries)
        rows.append(Row(label, tuple(pairs), expressions))
    return rows


def description(rows: list[Row]) -> Iterator[str]:
    """Yield what the rows say in words, for who does not see the picture."""
    return (row.sentence() for row in rows if row.sentence())


def _mean(vitals: Mapping[VitalKind, MeanReading], kind: VitalKind) -> float | None:
    known = vitals.get(kind)
    if known is None:
        return None
    return known.mean


def _strongest(expression: Mapping[Emotion, float] | None) -> tuple[str, float] | None:
    if not expression:
        return None
    strongest = max(expression, key=lambda one: expression[one])
    return strongest.value, expression[strongest]
