"""``responses.csv`` of a bundle: what it is, and its columns."""

from __future__ import annotations

from dashboard.questions.tables import OF_SESSION, OF_VITAL, WHOSE, BundleTable
from edge_agent.timeline.export.column import Column
from edge_agent.timeline.read.events import EventKind

TABLE = BundleTable(
    name="responses",
    title="Curves around the starts of stimuli; analysis.R --responses computes them",
    columns=(
        OF_VITAL,
        Column("event", "string", "Label of the stimuli; of p two of them, first-second"),
        WHOSE,
        Column(
            "name",
            "string",
            "Of a mean curve: mean, low and high (ends of its 95 % interval), n (people). Of a "
            "participant's curve: baseline, peak (the value farthest from the baseline), latency_s "
            "(when), area, half_s (seconds from the peak until half of it is left). Of two curves: "
            "p of the cluster-based permutation test, adjusted for all curves that are tested",
        ),
        Column("at_s", "number", "Middle of the bin, since the event", "s"),
        Column("value", "number", "In the unit of the vital, less the baseline but for baseline"),
    ),
    about=(
        "the [curves](statistics.md#responses) around the starts of the question's stimuli, −5 … "
        "+30 s: mean, ends of the band and people at each time, each person's figures. It has the "
        "question's outcomes (own ratings only where a slider gave them every few seconds), the "
        "first six tested as one family; and always the eight probabilities, valence and the "
        "movements, described without p unless they are among those six. `analysis.R --responses` "
        "computes it again"
    ),
)
SKIN_TABLE = BundleTable(
    name="event_skin_responses",
    title="The skin's response to each start of a stimulus and each marker of an experiment",
    columns=(
        OF_SESSION,
        WHOSE,
        Column("event", "string", "Label of the stimulus, or text of the note"),
        Column("at_s", "number", "When the event was, since the session began", "s"),
        Column(
            "latency_s",
            "number",
            "From the event to the beginning of the response, 1 to 4 s; empty: no response",
            "s",
        ),
        Column("rise_s", "number", "From its beginning to its peak; empty: no response", "s"),
        Column("amplitude", "number", "Height of its peak; 0: no response", "uS"),
        Column(
            "kind",
            "string",
            "stimulus_start: the start of a stimulus of the question. note: what a program or a "
            "person marked beside them: trials of an experiment (experiment: …), other texts of "
            "marker streams and serial lines, notes; not what a protocol notes of its own course. "
            "Two events of a kind within 4 s have no row",
            allowed=(EventKind.STIMULUS_START, EventKind.NOTE),
        ),
    ),
    about=(
        "the [skin's response](statistics.md#responses) to each start of a stimulus and each note, "
        "where skin conductance was recorded at 4 samples a second or more: when it began, how "
        "long it rose, and how high. The markers of an experiment (jsPsych, streams, serial lines) "
        "are notes; `kind` says which it is. An event without a response has amplitude 0. Means "
        "over the rows above 0 are amplitudes, over all rows magnitudes"
    ),
)
