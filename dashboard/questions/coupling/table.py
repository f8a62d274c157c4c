"""``coupling.csv`` of a bundle: what it is, and its columns."""

from __future__ import annotations

from dashboard.questions.tables import WHOSE, BundleTable
from edge_agent.timeline.export.column import Column

TABLE = BundleTable(
    name="coupling",
    title="Whether face and heart go together; analysis.R --coupling computes it",
    columns=(
        Column("measure", "string", "Measure of the face: a kind of vital_kind.csv"),
        Column("vital", "string", "Vital that may go together with it"),
        Column("lag_s", "number", "By how much the vital follows the face", "s"),
        WHOSE,
        Column(
            "name",
            "string",
            "Of a participant: sessions and pairs (bins with both values) that count, r "
            "(correlation without linear drifts), others (people at the same stimuli; 0: r is of "
            "whole sessions), r_others (mean correlation with their vital), difference (Fisher's z "
            "less the mean with others), left_out (1: too few pairs, one of the two never varied, "
            "or nobody else at the stimuli). Of the study: people, sessions looked at, "
            "without_times (sessions left out because their times are made up), step_s (length of "
            "a bin), stimuli (with several people), pairs, repeated_r (repeated-measures "
            "correlation), r (mean of the people's, by Fisher's z) with low and high (95 % "
            "interval), r_others, difference with difference_low and difference_high, t, df and p "
            "of the test of the difference over people; no p: not tested",
        ),
        Column("value", "number", "Of that name"),
    ),
    about=(
        "[coupling](statistics.md#coupling) of valence and heart rate at the lag of 5 s, as in "
        "`affect-edge coupling --json`: sessions, pairs, r and r with others of each person, who "
        "is left out, and the tested result. `analysis.R --coupling` computes it again "
        "(`--measure`, `--vital`, `--lag`: another one)"
    ),
)
