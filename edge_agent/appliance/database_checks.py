"""What the doctor looks at in the database and its copies; nothing is changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edge_agent.appliance.findings import Finding, Verdict, guarded
from edge_agent.config import Settings
from edge_agent.core import clock
from edge_agent.core.errors import StoreError

QUICK_S = 20.0
DEEP_S = 3_600.0
_DAY_S = 86_400.0
_RESTORE_ACCOUNTS = "Put the file back from an archive: affect-edge restore FILE."


def check_database(settings: Settings, data: Path, *, deep: bool) -> Iterator[Finding]:
    """Yield what is found in the database, its rows, its copies and its budget."""
    from edge_agent.store.database.schema import DATABASE_NAME, copies_beside

    path = data / DATABASE_NAME
    if not path.exists():
        told = f"{path} is not there yet; the agent makes it"
        yield Finding("database", Verdict.OK, told)
    else:
        yield guarded("database", partial(_database, path, deep=deep))
        yield guarded("newest row", partial(_newest_row, path))
        yield guarded("counted time", partial(_counted_time, path))
        yield guarded("accounts", partial(_accounts, path))
        if deep:
            yield guarded("audit", partial(_audit, path))
    yield guarded("copies", partial(_copies, settings, path))
    if deep:
        for copy in copies_beside(path):
            yield guarded(f"copy {copy.name}", partial(_copy, copy))
    yield guarded("disk budget", partial(_disk_budget, settings, data))


def _database(path: Path, *, deep: bool) -> Finding:
    from edge_agent.store.read.reader import Reader
    from edge_agent.store.salvage.noted_damage import noted_damage
    from edge_agent.store.upkeep.soundness import look_at

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
        return Finding("database", Verdict.PROBLEM, damaged, cure)
    if not soundness.complete:
        return Finding("database", Verdict.OK, f"{rows}; no damage found in {within_s:.0f} s")
    return Finding("database", Verdict.OK, f"{rows}; sound")


def _newest_row(path: Path) -> Finding:
    from edge_agent.store.read.reader import Reader

    span = Reader(path).span()
    if span is None:
        return Finding("newest row", Verdict.OK, "nothing has been recorded yet")
    age_s = (clock.now().wall_ms - span[1]) / 1000
    if age_s < -_DAY_S:
        ahead = f"the newest row lies {-age_s / _DAY_S:.0f} days in the future"
        cure = "Check the clock of this machine (timedatectl): it was ahead then, or is behind now."
        return Finding("newest row", Verdict.WARNING, ahead, cure)
    return Finding("newest row", Verdict.OK, f"{_duration(age_s)} old")


def _accounts(path: Path) -> Finding:
    from edge_agent.store.database.dashboard_file import dashboard_file, read_as_owner

    kept = dashboard_file(path)
    if not kept.exists():
        told = "none yet: the dashboard prints a code for the first one"
        return Finding("accounts", Verdict.OK, told)
    if not os.access(kept, os.R_OK):
        told = "not looked at: only the dashboard's user and root may read them"
        return Finding("accounts", Verdict.OK, told)
    try:
        with read_as_owner(path) as connection:
            count = connection.execute("SELECT count(*) FROM account").fetchone()[0]
            is_sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except StoreError as error:
        return Finding("accounts", Verdict.PROBLEM, str(error), _RESTORE_ACCOUNTS)
    if not is_sound:
        return Finding("accounts", Verdict.PROBLEM, f"{kept.name} is damaged", _RESTORE_ACCOUNTS)
    return Finding("accounts", Verdict.OK, f"{count} in {kept.name}; sound")


def _audit(path: Path) -> Finding:
    from edge_agent.store.database.schema import read_transaction
    from edge_agent.store.write.audit.chain import SHOWN, check

    with read_transaction(path) as connection:
        chain = check(connection)
    if chain.faults:
        broken = f"the audit trail was changed: {' '.join(chain.faults)}"
        cure = (
            "Compare it with a copy of the database of before. After a rescue of a damaged "
            "database lines may be missing; nothing else should change them."
        )
        return Finding("audit", Verdict.WARNING, broken, cure)
    if not chain.head:
        return Finding("audit", Verdict.OK, f"{chain.lines} lines, none sealed yet")
    told = f"{chain.lines} lines, each fits its seal; the newest is {chain.head[:SHOWN]}"
    return Finding("audit", Verdict.OK, told)


def _copies(settings: Settings, path: Path) -> Finding:
    from edge_agent.store.upkeep.copy_report import standing

    stands = standing(path)
    if stands.age_s is None:
        age = "there is no verified copy of the database"
    else:
        age = f"the last verified copy of the database is {_duration(stands.age_s)} old"
    if stands.error:
        cure = "See what the error says; the older copies are kept until a new one is verified."
        return Finding("copies", Verdict.PROBLEM, f"{age}; the next failed: {stands.error}", cure)
    if stands.smaller_than:
        less = f"{age}; a later one holds much less than {stands.smaller_than}"
        restore = (
            "Restore that copy if rows were lost; move it to another folder if they were meant "
            "to go."
        )
        return Finding("copies", Verdict.PROBLEM, less, restore)
    if stands.overdue:
        now = "See that the nightly maintenance runs, or say `affect-edge backup` now."
        return Finding("copies", Verdict.WARNING, age, now)
    if stands.second_error and settings.backup.also:
        away = f"{age}; the copy in a second place was not made: {stands.second_error}"
        put = "Put the stick or share back, or take backup.also out of the configuration."
        return Finding("copies", Verdict.WARNING, away, put)
    return Finding("copies", Verdict.OK, age)


def _counted_time(path: Path) -> Finding:
    from edge_agent.store.upkeep.counted_time import clock_doubt

    doubt = clock_doubt(path)
    if doubt is None:
        return Finding("counted time", Verdict.OK, "agrees with the clock, or follows it soon")
    return Finding("counted time", Verdict.WARNING, doubt, "Old rows stay until the clock is set.")


def _copy(copy: Path) -> Finding:
    from edge_agent.store.upkeep.soundness import look_at

    soundness = look_at(copy, deep=True, within_s=DEEP_S)
    if soundness.faults:
        damaged = f"is damaged: {soundness.faults[0]}"
        cure = "Do not restore this one. Keep it elsewhere while no better one is there."
        return Finding(f"copy {copy.name}", Verdict.WARNING, damaged, cure)
    return Finding(f"copy {copy.name}", Verdict.OK, "sound")


def _duration(seconds: float) -> str:
    """Return a length of time in the unit that fits."""
    for name, length in (("days", _DAY_S), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def _disk_budget(settings: Settings, data: Path) -> Finding:
    from edge_agent.store.database.schema import DATABASE_NAME, copies_beside
    from edge_agent.store.upkeep.budget import SHARES, space_of

    path = data / DATABASE_NAME
    record = settings.record
    if not path.exists():
        return Finding(
            "disk budget", Verdict.OK, f"{record.budget_mb} MB for the database and its copies"
        )
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
        return Finding("disk budget", Verdict.WARNING, told, cure)
    if space.aside_over_bytes:
        aside = (
            f"databases that were damaged or replaced take {space.aside_bytes / 1e6:.0f} MB, and "
            f"all files are {space.aside_over_bytes / 1e6:.0f} MB larger than record.budget_mb"
        )
        cure = (
            "Copy affect-edge.db.damaged.* and affect-edge.db.replaced.* away, then delete them "
            "here, or raise record.budget_mb; they are never deleted by themselves."
        )
        return Finding("disk budget", Verdict.WARNING, aside, cure)
    if space.cut_ms is not None:
        early = f"rows of before {clock.iso_utc(space.cut_ms)[:10]} were deleted early; {told}"
        longer = "Raise record.budget_mb, or lower record.keep_days to what fits."
        return Finding("disk budget", Verdict.WARNING, early, longer)
    if record.budget_mb > (taken + free) / 1e6:
        small = (
            f"record.budget_mb is {record.budget_mb} MB, but there is room for "
            f"{(taken + free) / 1e6:.0f} MB"
        )
        fitting = "Lower record.budget_mb to what fits, or use a larger disk."
        return Finding("disk budget", Verdict.WARNING, small, fitting)
    return Finding("disk budget", Verdict.OK, told)
