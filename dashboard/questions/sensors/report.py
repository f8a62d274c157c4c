"""The agreement of sensors as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.analysis.results import SensorComparison
from dashboard.questions.sensors.answer import SensorsModel


def report(model: SensorsModel) -> str:
    """Return a sentence for each two sources; of an estimate also each session."""
    if not model.root:
        return "No two sources measured the same vital in the same minute of a session."
    return "\n".join(line for one in model.root for line in _lines(one))


def _lines(one: SensorComparison) -> Iterator[str]:
    yield one.sentence
    for own in one.by_session if one.in_short else ():
        share = own.first_share
        during = "" if share is None else f", during {100 * share:.0f} % of its time"
        yield (
            f"  session {own.session}: off by {own.off_by:.1f} {one.unit} in {own.minutes} "
            f"minutes{during}"
        )
