"""``sensors.csv`` of a bundle: what it is, and its columns."""

from __future__ import annotations

from dashboard.questions.tables import OF_VITAL, BundleTable
from edge_agent.timeline.export.column import Column

TABLE = BundleTable(
    name="sensors",
    title="How far sources that measured the same agree: limits of agreement",
    columns=(
        OF_VITAL,
        Column("unit", "string", "Of all but people, sessions, minutes and icc"),
        Column("first", "string", "A source; one that gives estimates alone stands first"),
        Column("second", "string", "Another"),
        Column("people", "integer", "Participants whom both measured"),
        Column("sessions", "integer", "Sessions with minutes of both"),
        Column("minutes", "integer", "Minutes in which both have a usable reading"),
        Column("bias", "number", "Mean of the differences of a minute's means, first minus second"),
        Column("sd", "number", "Of a single difference, within and between people"),
        Column("low", "number", "Lower limit of agreement, bias - 1.96 sd"),
        Column("high", "number", "Upper limit of agreement"),
        Column("off_by", "number", "Mean of the differences without their sign"),
        Column("icc", "number", "ICC(A,1) of the participants' means"),
        Column("icc_low", "number", "Lower end of its 95 % interval"),
        Column("icc_high", "number", "Upper end of it"),
        Column("bias_from", "number", "Lower end of the 95 % interval of the bias"),
        Column("bias_to", "number", "Upper end of it"),
        Column("low_from", "number", "Lower end of the 95 % interval of the lower limit"),
        Column("low_to", "number", "Upper end of it"),
        Column("high_from", "number", "Lower end of the 95 % interval of the upper limit"),
        Column("high_to", "number", "Upper end of it"),
    ),
    about=(
        "each two sources that measured the same vital in the same minutes: bias and [limits of "
        "agreement](statistics.md#two-sensors-or-two-judgements-compared) with their 95 % "
        "intervals, ICC; of one site"
    ),
)
