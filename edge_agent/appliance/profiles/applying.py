"""Applying the profile that was fetched, and taking it back when the appliance is worse with it.

Everything that was fetched is checked again here, by root, from the signature on. What is about to
change is remembered before it changes, so that whenever the power goes, the next start knows the
way back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.appliance.feed.look import fetch_checked
from edge_agent.appliance.models.installing import KEYS, ModelPlace, install_model
from edge_agent.appliance.profiles.allowed import read_values
from edge_agent.appliance.profiles.fetching import read_fetched
from edge_agent.appliance.profiles.index import ProfileIndex
from edge_agent.appliance.profiles.place import (
    ProfilePlace,
    ProfileState,
    Trial,
    read_state,
    write_state,
)
from edge_agent.appliance.profiles.written import change_config, current_values, owners_again
from edge_agent.appliance.update import Say, alone
from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError, UpdateError
from edge_agent.runtime.health.profile_standing import ProfileStanding
from edge_agent.store.database.schema import connect
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.study.study_rows import find_open_session

ATTEMPTS = 3
"""How often a profile is begun that is interrupted each time, as by a crash of the machine."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a profile does to the running services.

    Attributes:
        alarms: returns the names of the alarms that stand; ``None``: the agent does not answer.
        restart: starts the services again that read these keys.
        worse: waits for some minutes; returns why the appliance is worse than with the alarms
            of before, or ``None``.
    """

    alarms: Callable[[], frozenset[str] | None]
    restart: Callable[[Mapping[str, Any]], None]
    worse: Callable[[frozenset[str]], str | None]


@dataclass
class ProfileApplier:
    """Applies what was fetched.

    Attributes:
        place: the appliance.
        device: ``device.name``.
        watch: the running services.
        say: takes a sentence about each step.
        again: whether what was taken back before is tried once more.

    Example:
        Apply what was fetched, on an installed appliance::

            print(ProfileApplier(place, "room-1", service_watch(place), print).run())
    """

    place: ProfilePlace
    device: str
    watch: Watch
    say: Say
    again: bool = False
    _state: ProfileState = field(init=False, default_factory=ProfileState)

    def run(self) -> str:
        """Apply the profile that was fetched where it is this device's turn; return how it stands.

        Raises:
            UpdateError: it is not trusted, old, or no profile; or it was tried and taken back.
            AffectEdgeError: the configuration cannot be read or written.
        """
        with alone(self.place.appliance):
            return self._run()

    def _run(self) -> str:
        self._state = read_state(self.place.state)
        self._end_interrupted()
        with tempfile.TemporaryDirectory(dir=self.place.appliance.program) as folder:
            newest = self._state.number
            trust = self.place.trust
            index = read_fetched(str(self.place.incoming), Path(folder), trust, newest)
            self._remember(number=index.number)
            reason = self._not_now(index)
            if reason is not None:
                return reason
            self._fetch_models(index, Path(folder))
            self._try(index, Path(folder))
        return f"{index.title} is applied."

    def leave(self) -> None:
        """Give the owner's values back where they still are what the profile wrote."""
        config = self.place.appliance.config
        with alone(self.place.appliance):
            self._state = read_state(self.place.state)
            self._end_interrupted()
            changes = owners_again(config, self._state.values, self._state.base)
            if changes:
                change_config(config, changes)
                self.watch.restart(changes)
            self.place.state.unlink(missing_ok=True)

    def _not_now(self, index: ProfileIndex) -> str | None:
        state = self._state
        if index.digest == state.digest:
            return f"{index.title} is applied already."
        if index.digest in state.refused and not self.again:
            return (
                f"{index.title} was tried and taken back: {state.refused[index.digest]} It is not "
                "tried again; sudo affect-edge fleet-profile apply --again does."
            )
        if not index.includes(self.device):
            if state.standing is None:
                self._remember(standing=_standing(index, "waiting"))
            return f"{index.title} is given to {index.stage / 10:g} % of the devices; not this one."
        if self._session_is_open():
            return f"{index.title} waits for the end of the open session."
        return None

    def _session_is_open(self) -> bool:
        database = self.place.appliance.database
        if not database.exists():
            return False
        with translate_errors(database), closing(connect(database, readonly=True)) as connection:
            return find_open_session(connection) is not None

    def _fetch_models(self, index: ProfileIndex, folder: Path) -> None:
        """Copy the models to where nobody else writes, and check them there."""
        for file in index.files:
            source = str(self.place.incoming / file.name)
            fetch_checked(source, folder / file.name, file.size, file.sha256, "file")

    def _try(self, index: ProfileIndex, folder: Path) -> None:
        values = read_values(index.settings, index.title)
        before = self.watch.alarms()
        if before is None:
            raise UpdateError(
                f"{index.title} is not tried: the agent does not answer, so nobody could tell "
                "whether it is worse with it. See: affect-edge doctor"
            )
        config = self.place.appliance.config
        keys = {*values, *self._state.values, *KEYS.values()}
        undo = current_values(config, keys)
        # a value that is not the profile's any more was changed by the owner since, and is theirs
        base = {
            key: self._state.base.get(key) if undo[key] == value else undo[key]
            for key, value in self._state.values.items()
        }
        trial = Trial(digest=index.digest, undo=undo, attempts=self._attempt(index))
        self._remember(trial=trial, standing=_standing(index, "trying"))
        try:
            written = self._write(index, {**base, **values}, set(values), folder)
            changed = {
                key: value
                for key, value in current_values(config, keys).items()
                if value != undo[key]
            }
            self.watch.restart(changed)
            self.say(f"{index.title} is written; watching for some minutes")
            worse = self.watch.worse(before) if changed else None
        except (AffectEdgeError, OSError) as error:
            worse = str(error)
        if worse is not None:
            self._take_back(index, worse)
        kept = {key: base[key] if key in base else undo[key] for key in written}
        self._remember(
            trial=None,
            digest=index.digest,
            values=written,
            base=kept,
            standing=_standing(index, "applied"),
        )

    def _write(
        self, index: ProfileIndex, changes: Mapping[str, Any], own: set[str], folder: Path
    ) -> dict[str, Any]:
        """Write the profile; return what the configuration says for its keys.

        Args:
            index: the profile.
            changes: value by key; with those of before that are the owner's again.
            own: the keys that this profile sets.
            folder: where its models lie.
        """
        config = self.place.appliance.config
        change_config(config, changes)
        models = ModelPlace(config, self.place.appliance.data)
        keys = [install_model(models, [str(folder / one.card.name)]).key for one in index.models]
        return current_values(config, {*own, *keys})

    def _take_back(self, index: ProfileIndex, why: str) -> None:
        self.say(f"{why} Taking {index.title} back.")
        trial = self._state.trial
        assert trial is not None
        self._undo(trial)
        refused = self._state.refuse(index.digest, why)
        self._remember(trial=None, refused=refused, standing=_standing(index, "taken_back", why))
        raise UpdateError(f"{index.title} was taken back. {why}")

    def _undo(self, trial: Trial) -> None:
        change_config(self.place.appliance.config, trial.undo)
        self.watch.restart(trial.undo)

    def _end_interrupted(self) -> None:
        """Take back what was being tried when the machine or this program ended."""
        trial = self._state.trial
        if trial is None:
            return
        self.say("What was being tried was interrupted; the configuration of before comes back.")
        self._undo(trial)
        standing = self._state.standing
        refused = self._state.refused
        if trial.attempts >= ATTEMPTS:
            why = f"It was interrupted {ATTEMPTS} times while it was tried."
            refused = self._state.refuse(trial.digest, why)
            if standing is not None:
                told = {"state": "taken_back", "problem": why, "since_ms": clock.now().wall_ms}
                standing = standing.model_copy(update=told)
        interrupted = {**self._state.interrupted, trial.digest: trial.attempts}
        self._remember(trial=None, refused=refused, standing=standing, interrupted=interrupted)

    def _attempt(self, index: ProfileIndex) -> int:
        return self._state.interrupted.get(index.digest, 0) + 1

    def _remember(self, **changes: Any) -> None:
        self._state = self._state.model_copy(update=changes)
        write_state(self.place.state, self._state)


def _standing(index: ProfileIndex, state: str, problem: str = "") -> ProfileStanding:
    told = {"name": index.name, "version": index.version, "state": state, "problem": problem[:2000]}
    return ProfileStanding.model_validate({**told, "since_ms": clock.now().wall_ms})
