"""The register of tables: what each table of both databases is, said once.

``schema.sql`` and ``dashboard.sql`` say how a table is stored; this says what is done with its
rows. Erasure, retention, salvage, the setting of a clock, undoing an import, exports, the codebook
and the fleet walk it. A test compares it with both schemas: a table, a time or a reference that it
forgets is red there.

A table stands behind those that it refers to, and a large one behind those that are carried over
before it. What an entry cannot say in a word stays with the one who does it, by a rule that the
entry names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.texts import N_

_LIES = "at >= :start AND at < :end"
# A row is stamped with the end of its interval: one that ends later may have begun in the span.
_REACHES_IN = "at >= :start AND (at < :end OR at - interval_ms < :end)"
_OWN = "the appliance's own: nothing about a person"
_HERE = "what happened on this appliance"
_OF_DASHBOARD = "only the dashboard's user opens this file"
_FREE = "name NOT IN ('age_band', 'sex')"  # values from a list identify nobody


class RowOwner(StrEnum):
    """Whose the rows of a table are."""

    PARTICIPANT = "participant"
    """A person's; the column ``participant`` names them, but in ``participant`` itself."""
    SESSION = "session"
    """Those of the session in the column ``session``."""
    TIME = "time"
    """Of whoever's session their time lies in."""
    ALERT = "alert"
    """Those of the alert in the column ``alert``."""
    PERSON = "person"
    """A person's by code and time of enrolment, in the dashboard's database."""
    ACCOUNT = "account"
    """Those of an account of the dashboard."""
    APPLIANCE = "appliance"
    """Nobody's: the appliance keeps them for itself."""


class ErasureWay(StrEnum):
    """What the erasure of a participant does with the rows of a table."""

    WITH_OWNER = "deleted with the person or the session"
    IN_TIME = "deleted where they lie in a session of the person"
    BY_RULE = "by a statement of its own"
    KEPT = "kept"


class SalvageWay(StrEnum):
    """How the rows of a damaged database come into a new one."""

    ROWS = "at once, before recording goes on"
    PAGES = "page by page, while recording goes on"
    NEWER = "at once, in place of what the new database has"
    ANEW = "not at all: a new database makes them"


class Retention(StrEnum):
    """How long rows stay."""

    ALWAYS = "until somebody erases or removes them"
    DAYS = "record.keep_days, or until the disk budget needs their space"
    BUDGET = "until the disk budget needs their space"
    FOLDED = "until they are folded into longer ones"
    SERVED = "until they have served"


class Move(StrEnum):
    """How the times of rows follow a clock that is set late."""

    STAMPS = "each time by itself"
    ROWS = "as rows that rollups have added up"
    ENDS = "two ends that must not cross"


@dataclass(frozen=True, slots=True)
class Time:
    """A column that holds a time, UTC epoch milliseconds.

    Attributes:
        column: its name.
        boot: column of the row of ``boot`` that it was read under; empty: it has none.
        noted: whether a line of the audit trail has the same time, with which it moves. A time with
            neither is never moved.
    """

    column: str
    boot: str = ""
    noted: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A column of free text, in which a person may be named or described.

    Attributes:
        column: its name.
        where: SQL condition of the rows whose text a person wrote; empty: all.
    """

    column: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What is done with the rows of a table.

    Attributes:
        name: of the table.
        whose: its rows.
        one, many: what people call a row and rows; empty: they are never told of.
        times: columns of time.
        texts: columns of free text about a person.
        codes: columns with a participant's code.
        key: columns that name a row.
        within: SQL condition of the rows that lie from ``:start`` to ``:end``.
        erasure: what erasing a participant does.
        rule: what a statement of its own does, or why the rows are kept.
        kept: how long rows stay.
        salvage: how rows of a damaged database come into a new one.
        sums: whether a second row of the same key is added to the first.
        move: how times follow a clock that is set late.
        brought: whether an import adds rows: the column ``import`` has its number, and an undo
            deletes them.
        is_comment: whether a row only says something of other rows: it goes with them, and holds
            up no undo of an import.
        title: of the exported table; empty: it is not exported.
        sent: whether a fleet gets the rows.
        apart: why the rows are not exported, or not sent.
    """

    name: str
    whose: RowOwner
    one: str = ""
    many: str = ""
    times: tuple[Time, ...] = ()
    texts: tuple[Text, ...] = ()
    codes: tuple[str, ...] = ()
    key: tuple[str, ...] = ("id",)
    within: str = ""
    erasure: ErasureWay = ErasureWay.WITH_OWNER
    rule: str = ""
    kept: Retention = Retention.ALWAYS
    salvage: SalvageWay = SalvageWay.ROWS
    sums: bool = False
    move: Move = Move.STAMPS
    brought: bool = False
    is_comment: bool = False
    title: str = ""
    sent: bool = False
    apart: str = ""

    @property
    def is_recorded(self) -> bool:
        """Whether rows come by themselves while recording goes on, and lie in time."""
        return bool(self.within) and self.salvage is SalvageWay.PAGES

    @classmethod
    def rollup(cls, kind: str, length: str) -> Table:
        """Return the table of the sums of a kind of rows by minute, hour or day."""
        is_day = length == "day"
        return cls(
            name=f"{kind}_{length}",
            whose=RowOwner.TIME,
            times=(Time("at"),),
            key=("at",) if kind == "expression" else ("kind", "at"),
            erasure=ErasureWay.BY_RULE,
            rule="added up anew from what is left",
            kept=Retention.ALWAYS if is_day else Retention.FOLDED,
            salvage=SalvageWay.ROWS if is_day else SalvageWay.PAGES,
            sums=True,
            apart="sums of rows that are",
        )

    def phrase(self, count: int) -> str:
        """Return a number of rows as people say it: ``2 markers and notes``."""
        return f"{count:,} {self.one if count == 1 else self.many}"

    @property
    def moved(self) -> tuple[Time, ...]:
        """The times that follow a clock that is set late."""
        return tuple(time for time in self.times if time.boot)


_AT = Time("at", "boot")
TIMELINE = (
    Table(
        "migration",
        RowOwner.APPLIANCE,
        times=(Time("applied"),),
        key=("version",),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        salvage=SalvageWay.ANEW,
        apart=_HERE,
    ),
    Table(
        "vital_kind",
        RowOwner.APPLIANCE,
        key=("kind",),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        salvage=SalvageWay.ANEW,
        apart="the registry of vitals says the same",
    ),
    # Settings first: they hold the times that were erased.
    Table(
        "setting",
        RowOwner.APPLIANCE,
        key=("key",),
        erasure=ErasureWay.BY_RULE,
        rule="gets the times of the erased sessions, which name nobody",
        salvage=SalvageWay.NEWER,
        apart=_HERE,
    ),
    Table(
        "boot",
        RowOwner.APPLIANCE,
        times=(Time("started_ms"),),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        sent=True,
        apart="clocks of this machine",
    ),
    Table(
        "participant",
        RowOwner.PARTICIPANT,
        "participant",
        N_("participants"),
        times=(Time("created", "boot"),),
        codes=("code",),
        brought=True,
        title="Participants",
        sent=True,
    ),
    Table(
        "session",
        RowOwner.PARTICIPANT,
        "session",
        N_("sessions"),
        times=(Time("started", "boot"), Time("ended", "ended_boot")),
        texts=(Text("name"), Text("origin"), Text("instruments")),
        move=Move.ENDS,
        brought=True,
        title="Sessions",
        sent=True,
    ),
    Table(
        "participant_attribute",
        RowOwner.PARTICIPANT,
        "attribute",
        N_("attributes"),
        texts=(Text("name", _FREE), Text("value", _FREE)),
        brought=True,
        title="Attributes of participants who agreed that they go along",
        sent=True,
    ),
    Table(
        "consent",
        RowOwner.PARTICIPANT,
        "consent",
        N_("consents"),
        times=(Time("given", "given_boot"), Time("withdrawn", "withdrawn_boot")),
        texts=(Text("text_version"),),
        brought=True,
        sent=True,
        apart="columns of participant",
    ),
    Table(
        "standing_session",
        RowOwner.PARTICIPANT,
        "weekday of standing sessions",
        N_("weekdays of standing sessions"),
        times=(Time("since", "since_boot"), Time("until", "until_boot")),
        texts=(Text("text_version"),),
        move=Move.ENDS,
        title="Hours in which sessions began by themselves, as participants agreed",
        apart="a fleet gets the sessions that began",
    ),
    Table(
        "marker",
        RowOwner.SESSION,
        "marker or note",
        N_("markers and notes"),
        times=(_AT,),
        texts=(Text("label"),),
        brought=True,
        title="Markers of sessions",
        sent=True,
    ),
    Table(
        "marker_change",
        RowOwner.SESSION,
        "marker as it was",
        N_("markers as they were"),
        times=(_AT, Time("changed", noted=True)),
        texts=(Text("label"), Text("reason")),
        is_comment=True,
        apart="the corrected marker is",
    ),
    Table(
        "exclusion",
        RowOwner.SESSION,
        "exclusion",
        N_("exclusions"),
        times=(Time("made", noted=True), Time("taken_back", noted=True)),
        texts=(Text("reason"),),
        brought=True,
        is_comment=True,
        title="Sessions and stretches of them that are left out of the analysis",
        sent=True,
    ),
    Table(
        "self_report",
        RowOwner.SESSION,
        "self-report",
        N_("self-reports"),
        times=(_AT,),
        texts=(Text("condition"),),
        brought=True,
        title="What participants said of themselves",
        sent=True,
    ),
    Table(
        "protocol_run",
        RowOwner.SESSION,
        "protocol that was run",
        N_("protocols that were run"),
        times=(Time("saved", "boot"),),
        texts=(Text("name"), Text("title"), Text("reason")),
        title="Protocols that were run, and in which order",
        sent=True,
    ),
    Table(
        "trial",
        RowOwner.SESSION,
        "screen of a protocol",
        N_("screens of protocols"),
        times=(_AT,),
        texts=(Text("condition"), Text("question"), Text("wording"), Text("value")),
        brought=True,
        title="Screens that protocols showed, with answers to their own questions",
        sent=True,
    ),
    Table(
        "own_neutral",
        RowOwner.SESSION,
        "own neutral",
        N_("own neutrals"),
        brought=True,
        is_comment=True,
        title="Each person's own neutral in sessions that asked for it",
        sent=True,
    ),
    Table(
        "alert",
        RowOwner.SESSION,
        "alert",
        N_("alerts"),
        times=(
            Time("raised", "raised_boot"),
            Time("ended", "ended_boot"),
            Time("acknowledged", "acknowledged_boot"),
        ),
        texts=(Text("text"),),
        erasure=ErasureWay.BY_RULE,
        rule="those of the session, and those about a person in its time",
        kept=Retention.SERVED,
        is_comment=True,
        apart=_HERE,
    ),
    Table(
        "alert_message",
        RowOwner.ALERT,
        times=(Time("sent"),),
        key=("alert", "event", "target"),
        erasure=ErasureWay.BY_RULE,
        rule="goes with its alert",
        kept=Retention.SERVED,
        apart=_HERE,
    ),
    Table(
        "model",
        RowOwner.APPLIANCE,
        times=(Time("since", "boot"),),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        brought=True,
        title="Models that the agent used, and from when",
        sent=True,
    ),
    Table(
        "preregistration",
        RowOwner.APPLIANCE,
        times=(Time("at"),),
        erasure=ErasureWay.KEPT,
        rule="a plan of a study names nobody, and is never changed",
        sent=True,
        apart="a file of the bundle",
    ),
    Table(
        "vital_change",
        RowOwner.TIME,
        times=(_AT, Time("changed", noted=True)),
        within=_LIES,
        erasure=ErasureWay.IN_TIME,
        is_comment=True,
        sent=True,
        apart="the corrected reading is",
    ),
    Table(
        "import",
        RowOwner.APPLIANCE,
        times=(Time("at", noted=True), Time("undone", noted=True), Time("started"), Time("ended")),
        texts=(Text("file"),),
        erasure=ErasureWay.BY_RULE,
        rule="a file that holds the code, or of which nothing else is left, is called (erased)",
        apart=_HERE,
    ),
    Table(
        "outbox",
        RowOwner.APPLIANCE,
        "waiting message",
        N_("waiting messages"),
        times=(Time("created", "boot"),),
        erasure=ErasureWay.BY_RULE,
        rule="messages about the person or their time are deleted, and their numbers reported",
        kept=Retention.SERVED,
        apart=_HERE,
    ),
    Table(
        "outbox_seq",
        RowOwner.APPLIANCE,
        key=("topic",),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        salvage=SalvageWay.NEWER,
        apart=_HERE,
    ),
    Table(
        "outbox_set_aside",
        RowOwner.APPLIANCE,
        times=(Time("created"), Time("at")),
        erasure=ErasureWay.BY_RULE,
        rule="as those that wait",
        kept=Retention.SERVED,
        apart=_HERE,
    ),
    Table(
        "outbox_hole",
        RowOwner.APPLIANCE,
        times=(Time("at"),),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        kept=Retention.SERVED,
        apart=_HERE,
    ),
    Table(
        "audit",
        RowOwner.APPLIANCE,
        times=(_AT,),
        texts=(Text("detail"),),
        erasure=ErasureWay.BY_RULE,
        rule="who did what stays, sealed; code and file in it are replaced by (erased)",
        apart=_HERE,
    ),
    Table(
        "health_minute",
        RowOwner.APPLIANCE,
        times=(Time("at"),),
        key=("at",),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        kept=Retention.SERVED,
        apart=_HERE,
    ),
    Table(
        "set_aside",
        RowOwner.APPLIANCE,
        "row that no table took",
        N_("rows that no table took"),
        times=(Time("at"),),
        texts=(Text("content"),),
        erasure=ErasureWay.BY_RULE,
        rule="rows of the person's time, code or session, or of an unknown time, are deleted",
        apart=_HERE,
    ),
    Table(
        "fleet_state",
        RowOwner.APPLIANCE,
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        kept=Retention.SERVED,
        apart=_HERE,
    ),
    Table(
        "fleet_change",
        RowOwner.APPLIANCE,
        key=("seq",),
        erasure=ErasureWay.BY_RULE,
        rule="numbers of rows alone; the erasure itself is logged there",
        kept=Retention.SERVED,
        apart=_HERE,
    ),
    Table.rollup("expression", "day"),
    Table.rollup("vital", "day"),
    # The large ones, in the order in which they are carried over from a damaged database.
    Table.rollup("expression", "hour"),
    Table.rollup("vital", "hour"),
    Table.rollup("expression", "minute"),
    Table.rollup("vital", "minute"),
    Table(
        "gap",
        RowOwner.TIME,
        "gap",
        N_("gaps"),
        times=(Time("started", "started_boot"), Time("ended", "boot")),
        within="started >= :start AND ended <= :end",
        erasure=ErasureWay.IN_TIME,
        salvage=SalvageWay.PAGES,
        move=Move.ENDS,
        brought=True,
        title="Times in which a source did not speak",
        sent=True,
    ),
    Table(
        "ecg",
        RowOwner.TIME,
        "stretch of an electrocardiogram",
        N_("stretches of electrocardiograms"),
        times=(_AT,),
        within=_REACHES_IN,
        erasure=ErasureWay.IN_TIME,
        kept=Retention.DAYS,
        salvage=SalvageWay.PAGES,
        move=Move.ROWS,
        apart="EDF+ and BIDS have it as a signal; a fleet does not get it",
    ),
    Table(
        "unfit",
        RowOwner.TIME,
        "count of unreadable frames",
        N_("counts of unreadable frames"),
        times=(_AT,),
        within=_REACHES_IN,
        erasure=ErasureWay.IN_TIME,
        kept=Retention.DAYS,
        salvage=SalvageWay.PAGES,
        move=Move.ROWS,
        brought=True,
        title="Frames in which a face could not be read, and why",
        sent=True,
    ),
    Table(
        "movement",
        RowOwner.TIME,
        "row of movements",
        N_("rows of movements"),
        times=(_AT,),
        within=_REACHES_IN,
        erasure=ErasureWay.IN_TIME,
        kept=Retention.DAYS,
        salvage=SalvageWay.PAGES,
        move=Move.ROWS,
        brought=True,
        title="Movements of the face, pose of the head and look: one face over one interval",
        sent=True,
    ),
    Table(
        "expression",
        RowOwner.TIME,
        "expression row",
        N_("expression rows"),
        times=(_AT,),
        within=_REACHES_IN,
        erasure=ErasureWay.IN_TIME,
        kept=Retention.DAYS,
        salvage=SalvageWay.PAGES,
        move=Move.ROWS,
        brought=True,
        title="Expressions: one face over one recording interval",
        sent=True,
    ),
    Table(
        "vital",
        RowOwner.TIME,
        "reading",
        N_("readings"),
        times=(_AT,),
        key=("at", "kind", "source"),
        within=_LIES,
        erasure=ErasureWay.IN_TIME,
        kept=Retention.BUDGET,
        salvage=SalvageWay.PAGES,
        move=Move.ROWS,
        brought=True,
        title="Vital readings",
        sent=True,
    ),
)
"""The tables of the timeline's database."""

DASHBOARD = (
    Table(
        "setting",
        RowOwner.APPLIANCE,
        key=("key",),
        erasure=ErasureWay.KEPT,
        rule=_OWN,
        apart=_OF_DASHBOARD,
    ),
    Table(
        "account",
        RowOwner.ACCOUNT,
        times=(Time("created"), Time("disabled"), Time("link_expires")),
        erasure=ErasureWay.KEPT,
        rule="of those who work with the appliance",
        apart=_OF_DASHBOARD,
    ),
    Table(
        "carer_person",
        RowOwner.PERSON,
        codes=("code",),
        key=("account", "code"),
        apart=_OF_DASHBOARD,
    ),
    Table(
        "letter",
        RowOwner.PERSON,
        times=(Time("agreed"),),
        codes=("code",),
        key=("code", "enrolled"),
        apart=_OF_DASHBOARD,
    ),
    Table(
        "letter_address",
        RowOwner.PERSON,
        times=(Time("sent"), Time("tried")),
        texts=(Text("address"), Text("error")),
        codes=("code",),
        key=("code", "enrolled", "address"),
        apart=_OF_DASHBOARD,
    ),
    Table(
        "login",
        RowOwner.ACCOUNT,
        times=(Time("created"), Time("expires"), Time("used")),
        key=("token_hash",),
        erasure=ErasureWay.KEPT,
        rule="of those who work with the appliance",
        kept=Retention.SERVED,
        apart=_OF_DASHBOARD,
    ),
    Table(
        "attempt",
        RowOwner.ACCOUNT,
        times=(Time("at"),),
        erasure=ErasureWay.KEPT,
        rule="what was typed as a name is kept as a hash",
        kept=Retention.SERVED,
        apart=_OF_DASHBOARD,
    ),
    Table(
        "token",
        RowOwner.ACCOUNT,
        times=(Time("created"), Time("used"), Time("revoked"), Time("expires")),
        erasure=ErasureWay.KEPT,
        rule="of those who work with the appliance",
        apart=_OF_DASHBOARD,
    ),
)
"""The tables of the dashboard's own database."""

BY_NAME = {table.name: table for table in TIMELINE}
"""Those of the timeline's database, by name."""
RECORDED = tuple(table for table in TIMELINE if table.is_recorded)
"""Those whose rows come by themselves while recording goes on."""
PRUNED = tuple(table for table in TIMELINE if table.kept in {Retention.DAYS, Retention.BUDGET})
"""Those whose rows go for their age or for space; rollups of them stay."""
OF_SESSION = tuple(table for table in TIMELINE if table.whose is RowOwner.SESSION)
OF_SESSION_IN_TIME = tuple(
    table
    for table in TIMELINE
    if table.whose in {RowOwner.SESSION, RowOwner.TIME}
    and _AT in table.times
    and (table.is_recorded or table.brought)
    and not table.is_comment
)
"""Those whose rows were recorded in a session at an instant of it, by machine or by hand."""
OF_PARTICIPANT = tuple(
    table
    for table in TIMELINE
    if table.whose is RowOwner.PARTICIPANT and table.name != "participant"
)
BROUGHT = tuple(table for table in TIMELINE if table.brought)
"""Those that an import adds rows to."""


def phrases(rows: Mapping[str, int]) -> list[str]:
    """Return the numbers of rows by table as people say them; tables without any are left out."""
    return [table.phrase(rows[table.name]) for table in tables_to_name(rows)]


def tables_to_name(rows: Mapping[str, int]) -> list[Table]:
    """Return the tables of numbers of rows that people are told of; not those without any."""
    return [table for table in TIMELINE if table.many and rows.get(table.name)]
