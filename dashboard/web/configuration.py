"""The configuration file as the dashboard shows and changes it.

Its checks and its way of writing are those of ``affect-edge config check`` and ``config set``. The
form holds values as texts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.languages.current import gettext as _
from edge_agent.config import editing, keys
from edge_agent.config.loading import load_right_part, load_settings
from edge_agent.config.settings import Settings
from edge_agent.core.brought_values import ValuesError, parse_toml
from edge_agent.core.errors import ConfigError
from edge_agent.core.texts import N_

SECTIONS = {
    "camera": N_("Camera"),
    "vision": N_("Reading faces"),
    "record": N_("Recording"),
    "vitals": N_("Vital signs"),
    "summary": N_("Summaries"),
    "mqtt": N_("Messages (MQTT)"),
    "dashboard": N_("Dashboard"),
    "alerts": N_("Alerts"),
    "deposit": N_("Deposit of the data"),
}
"""Names for people of the sections with settings that a browser may change."""
SWITCH = {"on": True, "off": False}


class NotWritableError(ConfigError):
    """The dashboard cannot write the configuration file."""


@dataclass(frozen=True, slots=True)
class PresentConfiguration:
    """The present configuration.

    Attributes:
        file: the file; ``None``: there is none.
        settings: the settings in force; of a wrong file, those of its valid part.
        values: value and source of every key.
        written: the keys that the file itself contains.
        rules: those of alerts, as they are written.
        problem: what is wrong with the file; empty: nothing.
        is_writable: whether this dashboard may replace the file.
    """

    file: editing.ConfigFile | None
    settings: Settings
    values: Mapping[str, keys.Value]
    written: Mapping[str, Any]
    rules: list[dict[str, Any]]
    problem: str
    is_writable: bool

    @property
    def can_be_changed(self) -> bool:
        """True if the configuration file exists and is valid TOML."""
        # A file with a wrong value is still valid TOML: the form must open, because it is the
        # way to correct that value.
        return self.file is not None and (bool(self.written) or not self.problem)


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """A change that was checked and is not written yet.

    Attributes:
        before: the file as it is.
        after: the file as it would be.
        values: the new values by key.
        lines: what is different, with ``-`` and ``+``.
    """

    before: editing.ConfigFile
    after: editing.ConfigFile
    values: Mapping[str, Any]
    lines: list[str]

    @property
    def services(self) -> tuple[str, ...]:
        """The services to start again afterwards."""
        return keys.restarts(self.values)

    @property
    def restart(self) -> str:
        """The command that starts them again; empty: the change counts without one."""
        return restart_of(self.services)

    @property
    def command(self) -> str:
        """The command that makes the change, for a user who may write the file."""
        return editing.command_for(self.before.path, self.values)

    def told(self) -> str:
        """Return the change for the audit trail: keys and their new values."""
        parts = []
        for name, value in self.values.items():
            shown = value
            if name == keys.RULES:
                shown = ", ".join(str(rule.get("name")) for rule in value)
            if value is None:
                shown = "default"
            parts.append(f"{name} = {shown}")
        return "; ".join(parts)


def restart_of(services: Collection[str]) -> str:
    """Return the command that starts services again; empty: there are none."""
    return f"sudo systemctl restart {' '.join(services)}" if services else ""


def read_present(path: Path | None) -> PresentConfiguration:
    """Read the present configuration.

    Args:
        path: its file; ``None``: there is none.
    """
    settings, error = (load_settings(), None) if path is None else load_right_part(path)
    file: editing.ConfigFile | None = None
    written: dict[str, Any] = {}
    text = ""
    with suppress(ConfigError, ValuesError):
        if path is not None:
            file = editing.read_file(path)
            written = parse_toml(file.text)
            text = file.text
    return PresentConfiguration(
        file,
        settings,
        keys.values_of(settings, text),
        written,
        editing.rules_of(text),
        "" if error is None else str(error),
        file is not None and editing.can_be_written(file.path),
    )


def planned(
    present: PresentConfiguration, digest: str, values: Mapping[str, Any]
) -> ConfigurationChange:
    """Check a change.

    Args:
        present: the configuration as it stands.
        digest: of the file that somebody looked at.
        values: new values by key; ``None`` leaves a key out.

    Raises:
        ConfigChangedError: the file says something else by now.
        ConfigError: there is no file, a key may not be changed here, or a value is not allowed.
    """
    before = present.file
    if before is None or not present.can_be_changed:
        raise ConfigError(
            present.problem or _("There is no configuration file: the defaults apply.")
        )
    # Somebody may have edited the file by hand while the form was open. A form holds all keys,
    # so writing it would undo that edit without a word.
    if digest != before.digest:
        raise editing.ConfigChangedError(
            _(
                "{file} was changed in the meantime. Nothing was written. Reload the page and "
                "make your change again."
            ).format(file=before.path)
        )
    _refuse_closed(values)
    # Checked as a whole file, not key by key: some keys are only valid together.
    wanted = {name: _without_gaps(value) for name, value in values.items()}
    try:
        after = editing.ConfigFile(before.path, editing.with_changes(before.text, wanted))
        changed = editing.check_settings(after)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            _("{keys}: cannot be written as TOML: {reason}").format(
                keys=", ".join(wanted), reason=error
            )
        ) from error
    lines = editing.difference(before, after, present.settings, changed)
    return ConfigurationChange(before, after, wanted, lines)


def refuse_other_types(values: Mapping[str, Any]) -> None:
    """Refuse a text where a key has a number or a switch; a form has nothing but texts, JSON has.

    Raises:
        ConfigError: names the key.
    """
    for name, value in values.items():
        key = keys.key_named(name)
        kind = None if key is None else key.kind
        is_switch = isinstance(value, bool)
        if kind is keys.Kind.SWITCH and not (value is None or is_switch):
            raise ConfigError(
                _("{key}: give true or false, not {value}.").format(key=name, value=repr(value))
            )
        if kind in (keys.Kind.WHOLE, keys.Kind.NUMBER) and (is_switch or isinstance(value, str)):
            raise ConfigError(
                _("{key}: give a number, not {value}.").format(key=name, value=repr(value))
            )


def write(present: PresentConfiguration, change: ConfigurationChange) -> Path:
    """Write a change, and return the path of the saved old file.

    Raises:
        ConfigChangedError: the file says something else by now.
        NotWritableError: it cannot be written.
    """
    if not present.is_writable:
        raise NotWritableError(
            _(
                "{file} belongs to the system, so the dashboard cannot write it. On the device, "
                "run: {command}"
            ).format(file=change.before.path, command=change.command)
        )
    try:
        return editing.save(change.before, change.after.text)
    except editing.ConfigChangedError:
        raise
    except ConfigError as error:
        raise NotWritableError(str(error)) from error


def _refuse_closed(values: Mapping[str, Any]) -> None:
    for name in values:
        key = keys.key_named(name)
        if key is None:
            raise ConfigError(_("{key}: there is no such key.").format(key=name))
        if not key.is_editable:
            raise ConfigError(
                _("{key}: cannot be changed in the browser. Change it in the file.").format(
                    key=name
                )
            )
        variable = keys.variable_of(name)
        if variable:
            raise ConfigError(
                _("{key}: the environment variable {variable} overrides the file.").format(
                    key=name, variable=variable
                )
            )


def _without_gaps(value: Any) -> Any:
    """Return a value without null entries, because TOML has no null."""
    if isinstance(value, list):
        return [_without_gaps(one) for one in value]
    if isinstance(value, Mapping):
        return {name: one for name, one in value.items() if one is not None}
    return value


def text_of(value: Any) -> str:
    """Return the text of a form field for a value; empty for a key that is left out."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return "\n".join(str(one) for one in value)
    return str(value)


def typed(key: keys.Key, text: str) -> Any:
    """Parse a form field; return a text that is no number, which validation then refuses."""
    text = text.strip()
    if not text:
        return None
    match key.kind:
        case keys.Kind.SWITCH:
            return SWITCH.get(text, text)
        case keys.Kind.LIST:
            return [line.strip() for line in text.splitlines() if line.strip()]
        case keys.Kind.WHOLE | keys.Kind.NUMBER:
            return _number(text)
        # A key that takes a number or a word, such as "auto", is of neither numeric kind; its
        # default tells.
        case _ if isinstance(key.default, int):
            return _number(text)
    return text


def fields_of(present: PresentConfiguration) -> dict[str, str]:
    """Return the form value of each key that may be changed."""
    return {
        key.name: text_of(keys.written_value(present.written, key.name))
        for key in keys.all_keys()
        if key.is_editable and key.name != keys.RULES
    }


def changes_of(present: PresentConfiguration, sent: Mapping[str, str]) -> dict[str, Any]:
    """Return the changes of a form, without keys that it lacks or that stayed the same."""
    changes: dict[str, Any] = {}
    for name, before in fields_of(present).items():
        key = next(one for one in keys.all_keys() if one.name == name)
        if name not in sent or keys.variable_of(name):
            continue
        value = typed(key, sent[name])
        # Both go through ``typed``: browsers send line breaks as CRLF and people add blanks, and
        # neither is a change.
        if value != typed(key, before):
            changes[name] = value
    return changes


def _number(text: str) -> int | float | str:
    """Parse a number; a text that is no number is returned unchanged."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
