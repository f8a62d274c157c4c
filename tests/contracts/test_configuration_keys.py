"""Every key of the configuration: its description, its line in the shipped file, its variable of
the environment, and how a wrong, an unknown and a removed one is refused.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dashboard.web.configuration import SECTIONS as NAMED_SECTIONS
from edge_agent.config.alerts import RuleSettings
from edge_agent.config.keys import RULES, Key, Kind, all_keys, key_named, restarts, values_of
from edge_agent.config.loading import REMOVED, load_settings
from edge_agent.config.settings import Settings
from edge_agent.core.errors import ConfigError
from tools.write_configuration import FILE as SHIPPED
from tools.write_configuration import has_key, line_for, with_all_keys

TEXT = SHIPPED.read_text(encoding="utf-8")
KEYS = all_keys()
WRITTEN, DEFAULTS = load_settings(SHIPPED), Settings()
NUMBERS = (Kind.WHOLE, Kind.NUMBER)
SECTIONS = sorted({key.name.rpartition(".")[0] for key in KEYS})
WRONG = {
    Kind.SWITCH: "'perhaps'",
    Kind.WHOLE: "'many'",
    Kind.NUMBER: "'many'",
    Kind.CHOICE: "'no-such-choice'",
    Kind.LIST: "{ a = 1 }",
    Kind.TABLES: "'no-tables'",
    Kind.TEXT: "[['hunter2']]",
}
DOORS = ("password", "file", "folder", "key", "host", "port", "keep_", "username", "tls")
"""Parts of names of keys that give access, name a path or delete rows: no browser changes these."""
NAMED = {"mqtt.username": "ada", "mqtt.password": "secret"}
NEEDED = {
    "vision.whose": {"vision.seat": "[0.3, 0.2, 0.4, 0.5]"},
    "mqtt.commands": NAMED,
    "vitals.mqtt.enabled": NAMED,
    "vision.detector": {"vision.detector_model": "yunet.onnx"},
}
"""Key → what must be set with another value of it."""
each_key = pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)


@pytest.fixture(autouse=True)
def _no_file_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edge_agent.config.loading.SYSTEM_FILE", tmp_path / "absent.toml")


def refusal(folder: Path, text: str) -> str:
    """Return what is said of a file with this text."""
    file = folder / "affect-edge.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_settings(file)
    return str(refused.value)


def refused_by_environment() -> str:
    with pytest.raises(ConfigError) as refused:
        load_settings()
    return str(refused.value)


def written(name: str, value: str) -> str:
    """Return a file with one key, in line 2."""
    section, _, last = name.rpartition(".")
    return f"[{section}]\n{last} = {value}\n"


def another_value(key: Key) -> bool | int | float | str:
    """Return a right value that is not the default."""
    if key.kind is Kind.SWITCH:
        return not key.default
    if key.kind is Kind.CHOICE:
        return next(choice for choice in key.choices if choice != str(key.default))
    low = key.least or 0
    middle = (low + (low + 1000 if key.most is None else key.most)) / 2
    return middle if key.kind is Kind.NUMBER else int(middle)


def variable(name: str) -> str:
    return "AFFECT_EDGE_" + name.upper().replace(".", "__")


@each_key
def test_key_stands_in_its_table_of_the_shipped_file_with_its_default(key: Key) -> None:
    if not has_key(TEXT, key):
        pytest.fail(f"{SHIPPED.name} lacks {key.name}: make write", pytrace=False)
    shipped, default = (values_of(one, "")[key.name].value for one in (WRITTEN, DEFAULTS))
    if shipped != default:
        pytest.fail(f"{key.name} is {shipped!r} there, by default {default!r}", pytrace=False)


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.name != RULES], ids=lambda key: key.name
)
def test_key_can_be_written_as_a_line_with_its_default_and_description(key: Key) -> None:
    assert key.description, f"{key.name}: its field has no description"
    name, line = key.name.rpartition(".")[2], line_for(key)
    assert re.fullmatch(rf"(# )?{name} = \S.* # .{{6,}}\n", line)
    default = [] if key.default is None else key.default
    assert line.startswith("# ") or tomllib.loads(line) == {name: default}


@pytest.mark.parametrize(
    "missing",
    [
        r"source = .*\n",
        r"(width|height) = .*\n",
        r"# face_score = .*\n",
        r"devices = \[[^\]]*\]\n",
        r"\[summary\]\n.*\n",
    ],
    ids=["the first", "two in a row", "without a default", "a list", "a whole table"],
)
def test_keys_that_the_shipped_file_lacks_are_written_in_their_place(missing: str) -> None:
    without, count = re.subn(f"^{missing}", "", TEXT, count=2, flags=re.MULTILINE)
    assert count and not all(has_key(without, key) for key in KEYS)
    again = with_all_keys(without, KEYS)
    assert all(has_key(again, key) for key in KEYS)
    assert tomllib.loads(again) == tomllib.loads(with_all_keys(TEXT, KEYS))
    assert with_all_keys(again, KEYS) == again


@each_key
def test_key_is_found_by_its_name_and_names_who_reads_it(key: Key) -> None:
    assert key_named(key.name) is key
    assert set(key.read_by) <= {"affect-edge-agent", "affect-edge-dashboard"}
    assert bool(key.read_by) is (key.name != RULES)


def test_keys_without_a_file_have_their_defaults_and_say_so() -> None:
    values = values_of(load_settings(), "")
    assert {value.source for value in values.values()} == {"default"}
    plain = [key for key in KEYS if key.kind in {Kind.SWITCH, Kind.CHOICE, *NUMBERS}]
    assert len(plain) > 60
    assert [key.name for key in plain if values[key.name].value != key.default] == []


@pytest.mark.parametrize("name", RuleSettings.model_fields)
def test_key_of_a_rule_stands_in_the_shipped_file(name: str) -> None:
    assert re.search(rf"^(# )?{name} = ", TEXT.split("[alerts]")[1], re.MULTILINE)


@each_key
def test_key_with_a_value_of_another_type_is_refused_with_its_line(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal(tmp_path, written(key.name, WRONG[key.kind]))
    assert f"affect-edge.toml, line 2: {key.name}" in said
    assert not key.secret or "hunter2" not in said
    if key.kind is Kind.CHOICE:
        assert all(choice in said for choice in key.choices)
    if key.kind is Kind.TEXT:
        return  # whatever a variable says is a text
    monkeypatch.setenv(variable(key.name), WRONG[key.kind].strip("'"))
    assert variable(key.name) in refused_by_environment()


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.kind in NUMBERS], ids=lambda key: key.name
)
def test_key_with_a_number_beyond_its_limits_is_refused_with_the_limit(
    key: Key, tmp_path: Path
) -> None:
    for limit, outwards in ((key.least, -1), (key.most, 1)):
        if limit is not None:
            said = refusal(tmp_path, written(key.name, f"{limit + outwards}"))
            assert f"line 2: {key.name} = {limit + outwards}: " in said
            assert f"{limit:g}" in said or f"{limit}" in said


@pytest.mark.parametrize(
    "key",
    [key for key in KEYS if key.kind in {Kind.SWITCH, Kind.CHOICE, *NUMBERS}],
    ids=lambda key: key.name,
)
def test_key_set_by_its_variable_of_the_environment_has_that_value(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, needed in NEEDED.get(key.name, {}).items():
        monkeypatch.setenv(variable(name), needed)
    other = another_value(key)
    monkeypatch.setenv(variable(key.name), str(other).lower())
    found = values_of(load_settings(), "")[key.name]
    assert (found.source, type(other)(found.value)) == ("environment", other)
    assert found.value != key.default


@pytest.mark.parametrize("section", SECTIONS)
def test_key_that_is_unknown_is_refused_with_the_known_ones(section: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, written(f"{section}.no_such_key", "1"))
    assert f"line 2: {section}.no_such_key: unknown key. Known here: " in said
    beside = [key.name for key in KEYS if key.name.rpartition(".")[0] == section]
    assert all(re.search(rf"\b{name.rpartition('.')[2]}\b", said) for name in beside)


def test_keys_of_paths_secrets_and_doors_are_changed_by_no_browser() -> None:
    editable = [key for key in KEYS if key.is_editable]
    assert {key.name for key in KEYS if key.secret} == {"mqtt.password", "alerts.notify"}
    assert not [key.name for key in editable if key.secret]
    assert not [key.name for key in editable if any(door in key.name for door in DOORS)]


def test_key_description_has_the_limits_and_choices_of_its_field() -> None:
    keys = {key.name: key for key in KEYS}
    assert {key.section for key in KEYS} == set(Settings.model_fields)
    fps = keys["camera.fps"]
    assert (fps.kind, fps.default, fps.least, fps.most) == (Kind.NUMBER, 15.0, 0, 120)
    assert keys["camera.rotate"].choices == ("0", "90", "180", "270")
    assert keys["dashboard.purposes"].kind is Kind.LIST
    assert key_named("camera.colour") is None
    assert restarts(("camera.fps", RULES)) == ("affect-edge-agent",)
    assert len(restarts(("alerts.sound", "dashboard.purposes"))) == 2


@pytest.mark.parametrize("name", REMOVED)
def test_key_that_was_removed_is_refused_with_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ".devices." in name:
        table, _, key = name.rpartition(".")
        strap = f'{{ address = "A0:9E:1A:00:00:01", kind = "heart_rate", {key} = true }}'
        said = refusal(tmp_path, written(table, f"[{strap}]"))
        assert f"devices.0.{key}: this key was removed. {REMOVED[name]}" in said
        return
    full = name if "." in name else f"{name}.any"
    assert REMOVED[name] in refusal(tmp_path, written(full, "'x'"))
    monkeypatch.setenv(variable(full), "x")
    assert REMOVED[name] in refused_by_environment()


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.is_editable or key.label], ids=lambda key: key.name
)
def test_key_that_a_browser_may_change_has_a_name_for_people(key: Key) -> None:
    assert key.is_editable, f"{key.name}: its field has a title, and is not Editable"
    assert key.section in NAMED_SECTIONS, f"SECTIONS of dashboard/web/configuration: {key.section}"
    if key.name != RULES:  # they have a form of their own
        last = key.name.rpartition(".")[2]
        assert key.label, f"{key.name}: its field needs a title, which the form shows"
        assert "_" not in key.label and key.label != last
