"""The doctor's checks of the database, its copies and the disk. They change nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edge_agent.appliance.findings import Finding, fine, problem, run_check, warning
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.owners import is_root

QUICK_S = 20.0
DEEP_S = 3_600.0
_DAY_S = 86_400.0
_RESTORE_ACCOUNTS = "Put the file back from an archive: affect-edge restore FILE."


def check_database(settings: Settings, data: Path, *, deep: bool) -> Iterator[Finding]:
    """Yield the findings about the database, its rows, its copies and its budget."""
    from edge_agent.timeline.database.copy import copies_beside
    from edge_agent.timeline.database.schema import DATABASE_NAME

    path = data / DATABASE_NAME
    if not path.exists():
        yield fine("database", f"{path} is not there yet; the agent makes it")
    else:
        yield run_check("database", partial(_database, path, deep=deep))
        yield run_check("newest row", partial(_newest_row, path))
        yield run_check("bounds", partial(_bounds, path, DEEP_S if deep else QUICK_S))
        yield run_check("counted time", partial(_counted_time, path))
        yield run_check("accounts", partial(_accounts, path))
        if deep:
            yield run_check("audit", partial(_audit, path))
        yield run_check("erasures", partial(_erasures, path))
    yield run_check("copies", partial(_copies, settings, path))
    if deep:
        for copy in copies_beside(path):
            yield run_check(f"copy {copy.name}", partial(_copy, copy))
    yield run_check("disk budget", partial(_disk_budget, settings, data))


def _database(path: Path, *, deep: bool) -> Finding:
    from edge_agent.timeline.read.reader import Reader
    from edge_agent.timeline.salvage.rescue import noted_damage
    from edge_agent.timeline.upkeep.soundness import look_at

    # Of a large database a full check may take long; the quick one ends in time.
    within_s = DEEP_S if deep else QUICK_S
    counts = Reader(path).counts()
    rows = ", ".join(f"{n} {table} rows" for table, n in sorted(counts.items()))
    soundness = look_at(path, deep=deep, within_s=within_s)
    noted = noted_damage(path)
    if noted or soundness.faults:
        damaged = f"is damaged: {noted or soundness.faults[0]}"
        cure = (
            "Stop the agent, copy the file and what lies beside it elsewhere, and put the newest "
            "sound copy in its place. Cards wear out: consider a new one."
        )
        return problem("database", damaged, cure)
    if not soundness.complete:
        return fine("database", f"{rows}; no damage found in {within_s:.0f} s")
    return fine("database", f"{rows}; sound")


def _bounds(path: Path, within_s: float) -> Finding:
    from edge_agent.timeline.intake.unreadable import find_unreadable

    found = find_unreadable(path, within_s)
    if found.rows:
        return problem(
            "bounds",
            f"{found.sentence} have a time or a value that cannot be shown",
            "Remove these rows: affect-edge maintenance --remove-unreadable",
        )
    if not found.complete:
        return fine(
            "bounds", f"no time out of bounds; not all values were read in {within_s:.0f} s"
        )
    return fine("bounds", "no time and no value out of bounds")


def _newest_row(path: Path) -> Finding:
    from edge_agent.timeline.read.reader import Reader

    span = Reader(path).span()
    if span is None:
        return fine("newest row", "nothing has been recorded yet")
    age_s = (clock.now().wall_ms - span[1]) / 1000
    if age_s < -_DAY_S:
        ahead = f"the newest row lies {-age_s / _DAY_S:.0f} days in the future"
        cure = "Check the clock of this machine (timedatectl): it was ahead then, or is behind now."
        return warning("newest row", ahead, cure)
    return fine("newest row", f"{_duration(age_s)} old")


def _accounts(path: Path) -> Finding:
    from edge_agent.timeline.database.dashboard_file import (
        dashboard_file,
        is_anothers,
        read_as_owner,
    )

    kept = dashboard_file(path)
    if not kept.exists():
        return fine("accounts", "none yet: the dashboard prints a code for the first one")
    if not is_root() and (is_anothers(kept) or not os.access(kept, os.R_OK)):
        return fine("accounts", "not looked at: only the dashboard's user and root may read them")
    try:
        with read_as_owner(path) as connection:
            count = connection.execute("SELECT count(*) FROM account").fetchone()[0]
            # quick_check does not compare indexes with tables, and (1) ends at the first fault:
            # every run of the doctor waits for it.
            is_sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except StoreError as error:
        return problem("accounts", str(error), _RESTORE_ACCOUNTS)
    if not is_sound:
        return problem("accounts", f"{kept.name} is damaged", _RESTORE_ACCOUNTS)
    return fine("accounts", f"{count} in {kept.name}; sound")


def _audit(path: Path) -> Finding:
    from edge_agent.timeline.database.connection import read_transaction
    from edge_agent.timeline.write.audit import SHOWN, check

    with read_transaction(path) as connection:
        chain = check(connection)
    if chain.faults:
        return warning(
            "audit",
            f"the audit trail was changed: {' '.join(chain.faults)}",
            "Compare the trail with an earlier copy of the database. After a rescue of a damaged "
            "database lines may be missing; nothing else should change the trail.",
        )
    if not chain.head:
        return fine("audit", f"{chain.lines} lines, none sealed yet")
    told = f"{chain.lines} lines, each fits its seal; the newest is {chain.head[:SHOWN]}"
    return fine("audit", told)


def _erasures(path: Path) -> Finding:
    from edge_agent.timeline.upkeep.unfinished import sentences_of_left

    left = sentences_of_left(path)
    if not left:
        return fine("erasures", "nothing is left of anybody who was erased")
    return warning(
        "erasures",
        f"something is left of somebody who was erased: {' '.join(left)}",
        "Do what the sentence says. The nightly maintenance tries again, or say `affect-edge "
        "maintenance` now.",
    )


def _copies(settings: Settings, path: Path) -> Finding:
    from edge_agent.timeline.upkeep.copies import copies_state

    stands = copies_state(path)
    age = "there is no verified copy of the database"
    if stands.age_s is not None:
        age = f"the last verified copy of the database is {_duration(stands.age_s)} old"
    if stands.error:
        return problem(
            "copies",
            f"{age}; the next failed: {stands.error}",
            "See what the error says; the older copies are kept until a new one is verified.",
        )
    if stands.smaller_than:
        less = f"{age}; a later copy holds much less than {stands.smaller_than}"
        return problem(
            "copies",
            less,
            (
                "Restore that copy if rows were lost; move it to another folder if they were meant "
                "to go."
            ),
        )
    if stands.overdue:
        return warning(
            "copies", age, "See that the nightly maintenance runs, or say `affect-edge backup` now."
        )
    if stands.second_error and settings.backup.also:
        away = f"{age}; the copy in a second place was not made: {stands.second_error}"
        return warning(
            "copies",
            away,
            "Put the stick or share back, or take backup.also out of the configuration.",
        )
    if stands.age_s is None:
        return fine("copies", "none yet: the nightly maintenance makes the first one")
    return fine("copies", age)


def _counted_time(path: Path) -> Finding:
    from edge_agent.timeline.upkeep.aging import clock_doubt

    doubt = clock_doubt(path)
    if doubt is None:
        return fine("counted time", "agrees with the clock, or follows it soon")
    return warning("counted time", doubt, "Old rows stay until the clock is set.")


def _copy(copy: Path) -> Finding:
    from edge_agent.timeline.upkeep.soundness import look_at

    soundness = look_at(copy, deep=True, within_s=DEEP_S)
    if soundness.faults:
        damaged = f"is damaged: {soundness.faults[0]}"
        cure = "Do not restore this one. Keep it elsewhere while no better one is there."
        return warning(f"copy {copy.name}", damaged, cure)
    return fine(f"copy {copy.name}", "sound")


def _duration(seconds: float) -> str:
    """Return a length of time in the unit that fits."""
    # A unit is used from two of it on: 1.4 days would be written as 1 day.
    for name, length in (("days", _DAY_S), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def _disk_budget(settings: Settings, data: Path) -> Finding:
    from edge_agent.timeline.database.copy import copies_beside
    from edge_agent.timeline.database.schema import DATABASE_NAME
    from edge_agent.timeline.upkeep.budget import SHARES, space_of

    path = data / DATABASE_NAME
    record = settings.record
    if not path.exists():
        return fine("disk budget", f"{record.budget_mb} MB for the database and its copies")
    space = space_of(path, record.budget_mb, record.keep_days)
    taken = sum(file.stat().st_size for file in (path, *copies_beside(path)))
    free = shutil.disk_usage(data).free
    size = f"the database has {space.used_bytes / 1e6:.0f} MB"
    told = f"{size}, its share of record.budget_mb is {record.budget_mb // SHARES} MB"
    if space.over_bytes:
        cure = (
            "Export and erase participants who are done, or raise record.budget_mb; sessions are "
            "not deleted for space."
        )
        return warning("disk budget", told, cure)
    if space.aside_over_bytes:
        aside = (
            f"databases that were damaged or replaced take {space.aside_bytes / 1e6:.0f} MB, and "
            f"all files are {space.aside_over_bytes / 1e6:.0f} MB larger than record.budget_mb"
        )
        cure = (
            "Copy affect-edge.db.damaged.* and affect-edge.db.replaced.* away, then delete them "
            "here, or raise record.budget_mb; they are never deleted by themselves."
        )
        return warning("disk budget", aside, cure)
    if space.cut_ms is not None:
        early = f"rows of before {clock.iso_utc(space.cut_ms)[:10]} were deleted early; {told}"
        longer = "Raise record.budget_mb, or lower record.keep_days to what fits."
        return warning("disk budget", early, longer)
    if record.budget_mb > (taken + free) / 1e6:
        small = (
            f"record.budget_mb is {record.budget_mb} MB, but there is room for "
            f"{(taken + free) / 1e6:.0f} MB"
        )
        fitting = "Lower record.budget_mb to what fits, or use a larger disk."
        return warning("disk budget", small, fitting)
    return fine("disk budget", told)
