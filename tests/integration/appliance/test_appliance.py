"""The commands that look after an installed appliance."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.alerts.figures import AgentFigures, AlertLimits, MachineState, alerts_of
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import UpdateError
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.upkeep.aging import DAY_MS, clock_doubt
from edge_agent.timeline.upkeep.copies import copies_state
from tests.support.timeline import START_MS, query, reading, row, timeline


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def settings(folder: Path, *, own_certificate: bool) -> Path:
    file = folder / "settings.toml"
    tls = folder / "tls"
    lines = [f'certificate = "{tls}/cert.pem"', f'key = "{tls}/key.pem"'] if own_certificate else []
    file.write_text("\n".join(["[dashboard]", *lines, ""]))
    return file


@pytest.mark.parametrize("own_certificate", [True, False])
def test_a_night_renews_deletes_copies_and_checks(tmp_path: Path, own_certificate: bool) -> None:
    migrate(tmp_path / DATABASE_NAME)
    config = settings(tmp_path, own_certificate=own_certificate)
    done = run("maintenance", "--config", config, "--data", tmp_path)
    assert done.exit_code == 0, done.output
    certificate = "renewed" if own_certificate else "not used: the configuration"
    assert f"certificate: {certificate}" in done.output
    assert "retention: 0 rows older than 90 days deleted" in done.output
    assert "rollups: 0 minutes older than" in done.output
    budget = "budget: 0 rows deleted, 0 MB given back; the database has 0 of 1667 MB"
    assert budget in done.output
    assert "sound" in done.output and list(tmp_path.glob("*.backup-*"))
    assert (tmp_path / "tls" / "cert.pem").exists() == own_certificate


def test_a_step_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_text("no database at all, but a long enough text " * 30)
    done = run(
        "maintenance", "--config", settings(tmp_path, own_certificate=True), "--data", tmp_path
    )
    assert done.exit_code == 1
    assert "certificate: renewed" in done.output
    for said in ("retention:", "copy:", "is not a database"):
        assert said in done.output


def test_before_the_first_start_only_the_certificate_is_due(tmp_path: Path) -> None:
    done = run(
        "maintenance", "--config", settings(tmp_path, own_certificate=True), "--data", tmp_path
    )
    assert done.exit_code == 0 and "copy" not in done.output


def test_the_certificate_is_shown_with_its_fingerprint(tmp_path: Path) -> None:
    first, second = (run("certificate", "--data", tmp_path).output for _ in range(2))
    assert "made" in first and "good" in second
    assert first.splitlines()[1] == second.splitlines()[1]
    assert first.count(":") > 31


class Nights:
    """Nights of maintenance of an appliance, one after another, with a clock that can be wrong.

    Args:
        folder: of its data, of a stick and of the configuration.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = folder / "data"
        self.path = self.data / DATABASE_NAME
        self.wall_ms = START_MS + 99 * DAY_MS
        self.also = folder / "stick"
        self.also.mkdir(exist_ok=True)
        (self.also / "affect-edge-copies").touch()
        self.config = folder / "settings.toml"
        self.config.write_text(f'[backup]\nalso = "{self.also}"\n')
        monkeypatch.setattr(clock, "now", lambda: Instant(0, self.wall_ms))
        monkeypatch.setattr(clock, "boot_id", lambda: str(self.wall_ms))

    def pass_by(self, number: int) -> list[Result]:
        done = []
        for _ in range(number):
            self.wall_ms += DAY_MS - 60_000
            done.append(run("maintenance", "--config", self.config, "--data", self.data))
        return done

    @property
    def copies(self) -> dict[str, bytes]:
        """All copies, here and on the stick, with their content."""
        found = [*self.data.glob("*.backup-*"), *self.also.glob("*/*.backup-*")]
        return {f"{copy.parent.name}/{copy.name}": copy.read_bytes() for copy in found}

    @property
    def alarms(self) -> set[str]:
        figures = AgentFigures(
            copies=copies_state(self.path, self.wall_ms), clock_doubt=clock_doubt(self.path)
        )
        machine = MachineState(
            uptime_s=0,
            temperature=None,
            throttling=None,
            disk_free_bytes=10**10,
            clock_synchronised=True,
        )
        return set(alerts_of(figures, machine, AlertLimits()))


@pytest.fixture(scope="module")
def three_nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The folder of an appliance after three good nights, and its time."""
    folder = tmp_path_factory.mktemp("nights")
    timeline(
        folder / "data",
        expression=[row(day * 86_400) for day in range(100)],
        vital=[reading(99 * 86_400)],
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Nights(folder, monkeypatch)
        assert [done.exit_code for done in made.pass_by(3)] == [0, 0, 0]
        assert len(made.copies) == 6 and made.alarms == set()
    return folder, made.wall_ms


@pytest.fixture
def nights(
    three_nights: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Nights:
    """A copy of that appliance."""
    folder, wall_ms = three_nights
    shutil.copytree(folder, tmp_path / "nights")
    made = Nights(tmp_path / "nights", monkeypatch)
    made.wall_ms = wall_ms
    return made


def damage(path: Path) -> None:
    ((page,),) = query(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'expression'")
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x5a" * 64)


def empty(path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM expression")
        connection.execute("DELETE FROM setting")


def make_zero(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "alarm", "said"),
    [
        (damage, "copy_failed", "so the database or the disk is damaged"),
        (empty, "copy_smaller", "is sound, but holds much less than"),
        (make_zero, "copy_failed", "is empty"),
        (Path.unlink, "", "is missing, but its copies are there"),
    ],
)
def test_three_nights_after_loss_all_good_copies_remain_with_an_alarm(
    nights: Nights, harm: Callable[[Path], None], alarm: str, said: str
) -> None:
    before = nights.copies
    harm(nights.path)
    for done in nights.pass_by(3):
        assert done.exit_code == 1 and said in done.output, done.output
    assert before.items() <= nights.copies.items()
    if alarm:
        assert nights.alarms >= {alarm, "copy_old"}
        assert sum("smaller" not in name for name in nights.copies) == 6


@pytest.mark.parametrize("wrong_days", [365, -2.5, -365, -20_000])
@pytest.mark.parametrize("synchronised", [True, False])
def test_three_nights_with_a_wrong_clock_delete_nothing_and_it_is_reported(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, wrong_days: float, synchronised: bool
) -> None:
    monkeypatch.setattr(clock, "is_synchronised", lambda: synchronised)
    counted = query(nights.path, "SELECT count(*) FROM expression")[0][0]
    nights.wall_ms += round(wrong_days * DAY_MS)
    for done in nights.pass_by(3):
        assert done.exit_code == 1 and "No row is deleted by such a clock" in done.output
    # three days have passed, and three rows have become too old in them
    assert query(nights.path, "SELECT count(*) FROM expression")[0][0] >= counted - 3
    assert "clock_not_believed" in nights.alarms
    lines = query(nights.path, "SELECT actor, detail FROM audit WHERE action = 'retention'")
    assert all("rows of before 2026-" in detail for _, detail in lines)
    (said,) = run(
        "maintenance", "--clock-is-right", "--config", nights.config, "--data", nights.data
    ).output.splitlines()[1:2]
    assert said == "clock: agrees with the counted time"


def test_a_stick_that_was_pulled_out_is_an_alarm_and_copy_beside_is_made(nights: Nights) -> None:
    nights.also.rename(nights.also.with_name("elsewhere"))
    (done,) = nights.pass_by(1)
    assert done.exit_code == 1 and "is not there, so no copy was made" in done.output
    assert nights.alarms == {"copy_also_failed"}
    assert len(nights.copies) == 3 and not nights.also.exists()


@pytest.mark.parametrize("words", [["update", "release.tar"], ["rollback"]])
@pytest.mark.parametrize(
    ("user", "said"), [(1000, "put sudo before the command"), (0, "install.sh")]
)
def test_the_program_is_changed_by_root_alone_and_where_it_is_installed(
    words: list[str], user: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    done = run(*words)
    assert isinstance(done.exception, UpdateError) and said in str(done.exception)
