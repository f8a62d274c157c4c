"""The tables that an analysis adds to a bundle: what they are, and their columns."""

from __future__ import annotations

from dashboard.questions.tables import OF_SESSION, OF_STATE, OF_VITAL, BundleTable
from edge_agent.timeline.export.column import Column

_OF_MEASURE = (
    Column("title", "string", "Its name"),
    Column("participant", "string", "Code"),
    OF_SESSION,
    OF_STATE,
    Column("value", "number", "In the unit of the measure"),
    Column("minutes", "number", "Mean time of the state since the session's start", "min"),
)
FLOW = BundleTable(
    "flow",
    "People and readings from consent to the tests",
    (
        Column(
            "step",
            "string",
            "consented, in_sessions, measured, usable, in_state or tested: who is still there; "
            "lost, excluded, missing, group or test: who is not, or who is in a test",
        ),
        OF_VITAL,
        Column("first", "string", "First state of a test"),
        Column("second", "string", "Second state of a test"),
        OF_STATE,
        Column("reason", "string", "Why they are not there; used: they are in the test"),
        Column("people", "integer", "Participants"),
        Column("sessions", "integer", "Sessions"),
        Column("readings", "integer", "Readings"),
    ),
)
TABLES = (
    FLOW,
    BundleTable(
        "attenuation",
        "What misread faces leave of a difference at the worst, for analysis.R",
        (
            Column("first", "string", "First state"),
            Column("second", "string", "Second state"),
            Column(
                "factor", "number", "Share of a difference that misread faces leave at the worst"
            ),
        ),
    ),
    BundleTable(
        "baseline",
        "Means at rest, for analysis.R",
        (
            OF_SESSION,
            Column("kind", "string", "What was measured: a kind of vital_kind.csv"),
            Column("source", "string", "Who measured"),
            Column("mean", "number", "Mean at rest, in the unit of the kind"),
        ),
    ),
    BundleTable(
        "heart_measure",
        "Measures of the intervals between beats, for analysis.R",
        (
            Column("measure", "string", "Measure of the intervals between beats"),
            *_OF_MEASURE,
            Column(
                "low",
                "number",
                "Lower 95 % limit of ln_rmssd or sdnn without the errors that the sensor states; "
                "empty: it states none",
            ),
            Column("high", "number", "Upper limit"),
        ),
    ),
    BundleTable(
        "skin_measure",
        "Measures of the responses of skin conductance, for analysis.R",
        (
            Column(
                "measure", "string", "scr_count: responses a minute; scr_amplitude: their mean, µS"
            ),
            *_OF_MEASURE,
        ),
    ),
    BundleTable(
        "session_mean",
        "Tested means of sessions and states, for the mixed model and groups",
        (
            Column("kind", "string", "What was measured: a kind of vital_kind.csv"),
            Column("participant", "string", "Code"),
            OF_SESSION,
            OF_STATE,
            Column(
                "minutes", "number", "Mean time of the readings since the session's start", "min"
            ),
            Column("mean", "number", "Mean of the readings, in the unit of the kind"),
            Column("readings", "integer", "How many"),
            Column(
                "place",
                "integer",
                "As which number of the session the state first came, whatever else was met; empty "
                "where states come back or are observed",
            ),
        ),
    ),
    BundleTable(
        "neighbours",
        "Differences under the choices that could have been declared, without p",
        (
            OF_VITAL,
            Column("first", "string", "First state"),
            Column("second", "string", "Second state"),
            Column(
                "settling_s",
                "number",
                "By condition and self-report: what is left out of each stimulus",
                "s",
            ),
            Column("window_s", "number", "By observed emotion: expression before a reading", "s"),
            Column("lag_s", "number", "By observed emotion: by how much the vital follows", "s"),
            Column("source", "string", "The source that is preferred; empty: as declared"),
            Column("declared", "integer", "1: the declared choice"),
            Column("n_first", "integer", "Participants on the first side; with pairs the pairs"),
            Column("n_second", "integer", "Participants on the second side; with pairs the same"),
            Column(
                "difference",
                "number",
                "First minus second, of the analysis that would be reported, in the unit of the "
                "vital; empty: no test",
            ),
        ),
    ),
)
