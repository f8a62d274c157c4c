"""The kinds of vitals that a database takes, as SQL: the table ``vital_kind``, and how it grows.

A new kind is a migration at the end of ``schema.MIGRATIONS``::

    Migration("a new kind", add_kind("its_name", "its unit"))

The words stand here and not in the registry, because a migration must do for ever what it did
first. A test compares the table that comes out of all of them with the registry.
"""

# ruff: noqa: S608 - only our own names are put into SQL text

from __future__ import annotations

FIRST_KINDS = ("heart_rate", "systolic", "diastolic", "mean_arterial", "rr_interval")
CHECK_OF_FIRST_KINDS = f"CHECK (kind IN ({', '.join(repr(kind) for kind in FIRST_KINDS)}))"
"""What the first version says behind ``vital.kind``."""

_REFERENCE = "REFERENCES vital_kind(kind)"
_VITAL = "type = 'table' AND name = 'vital'"


def add_kind(kind: str, unit: str) -> tuple[str, ...]:
    """Return the statements with which a database takes a kind, kept in a UCUM unit."""
    return (f"INSERT INTO vital_kind (kind, unit) VALUES ('{kind}', '{unit}')",)


def _in_sql(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


# SQLite cannot change a CHECK, and to make the table anew would copy it: with two million readings
# 15 s and three times the space, against 0.03 s and none. A constraint leaves no trace in the rows,
# so its text alone is replaced, which sqlite.org/lang_altertable.html (section 7) allows. All rows
# obey the new one already: the CHECK saw to that. The whole is one transaction, and whatever makes
# or drops a view or table in it tells other connections that the schema is another.
KINDS_IN_A_TABLE = (
    "CREATE TABLE vital_kind (kind TEXT PRIMARY KEY, unit TEXT NOT NULL) STRICT, WITHOUT ROWID",
    *add_kind("heart_rate", "/min"),
    *add_kind("systolic", "mm[Hg]"),
    *add_kind("diastolic", "mm[Hg]"),
    *add_kind("mean_arterial", "mm[Hg]"),
    *add_kind("rr_interval", "s"),
    "PRAGMA writable_schema=ON",
    (
        "UPDATE sqlite_schema SET "
        f"sql = replace(sql, {_in_sql(CHECK_OF_FIRST_KINDS)}, '{_REFERENCE}') WHERE {_VITAL}"
    ),
    "PRAGMA writable_schema=RESET",
    # A table that says something else is no table of ours: refused, for NULL is no kind.
    (
        "INSERT INTO vital_kind (kind, unit) SELECT NULL, '' FROM sqlite_schema "
        f"WHERE {_VITAL} AND instr(sql, '{_REFERENCE}') = 0"
    ),
)
