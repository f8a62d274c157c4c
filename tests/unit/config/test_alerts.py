"""The section ``[alerts]``: what is refused, with its line, and that no address is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.alerts.sending import alert_options
from edge_agent.appliance.support_bundle import without_secrets
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import ConfigError
from edge_agent.timeline.export.appliance import public_settings

SECRET = "mailtos://ward:geheim99@example.org"
RULE = "[[alerts.rule]]\nname = 'hr'\nwhen = 'vital'\nvital = 'heart_rate'\n"


def write(folder: Path, text: str) -> Path:
    file = folder / "affect-edge.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULE, "rule 'hr': vital needs above or below, or both"),
        (RULE + "above = 100\nbelow = 95\nmargin = 5\n", "no value is well"),
        (RULE + "above = 120\nabuve = 1\n", "alerts.rule.0.abuve: unknown key"),
        (RULE + "above = nan\n", "alerts.rule.0.above"),
        (RULE + "above = 120\n" + RULE + "above = 130\n", "two rules are called 'hr'"),
        (
            "[[alerts.rule]]\nname = 'x'\nwhen = 'vital'\nabove = 1\n",
            "need vital, and no other does",
        ),
        (
            "[[alerts.rule]]\nname = 'x'\nwhen = 'camera'\nvital = 'systolic'\n",
            "need vital, and no other does",
        ),
        ("[[alerts.rule]]\nname = 'x'\nwhen = 'disk'\n", "disk needs below, in MB"),
        ("[[alerts.rule]]\nname = 'x'\nwhen = 'camera'\nabove = 3\n", "camera takes no above"),
        ("[[alerts.rule]]\nname = 'x'\nwhen = 'backup'\nabove = 0\n", "backup takes above, in"),
        ("[[alerts.rule]]\nname = 'X y'\nwhen = 'camera'\n", "alerts.rule.0.name = 'X y'"),
        ("[[alerts.rule]]\nname = 'x'\nwhen = 'moon'\n", "alerts.rule.0.when = 'moon'"),
        ("[alerts]\nquiet_from = '22:00'\n", "quiet_from and quiet_until go together"),
        ("[alerts]\nquiet_from = '25:00'\nquiet_until = '07:00'\n", "'25:00' is no time of day"),
        ("[alerts]\ntime_zone = 'Moon/Base'\n", "there is no time zone 'Moon/Base'"),
        ("[alerts]\ntime_zone = '../../etc/passwd'\n", "there is no time zone"),
    ],
)
def test_alert_rule_that_cannot_work_is_refused_with_the_reason(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert said in str(caught.value)


def test_a_wrong_value_in_the_second_rule_is_named_with_its_line(tmp_path: Path) -> None:
    text = f"{RULE}above = 120\n\n[[alerts.rule]]\nname = 'cam'\nwhen = 'camera'\nseconds = -1\n"
    with pytest.raises(ConfigError, match=r"line 10: alerts\.rule\.1\.seconds = -1"):
        load_settings(write(tmp_path, text))


def test_addresses_are_in_no_error_no_export_and_no_support_bundle(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, f"[alerts]\nnotify = '{SECRET}'\n"))
    assert "geheim99" not in str(caught.value)
    settings = load_settings(write(tmp_path, f"[alerts]\nnotify = ['{SECRET}']\n"))
    options = alert_options(settings)
    assert options.targets()[0].address.reveal() == SECRET
    told = [
        repr(settings),
        repr(options),
        str(public_settings(settings)),
        str(without_secrets(settings.model_dump(mode="json"))),
    ]
    assert not any("geheim99" in text for text in told)


def test_rules_of_ones_own_replace_those_of_before_and_off_means_none(tmp_path: Path) -> None:
    options = alert_options(load_settings(write(tmp_path, RULE + "above = 120\n")))
    assert [rule.name for rule in options.rules] == ["hr"]
    assert [rule.name for rule in alert_options(load_settings()).rules] == [
        "agent",
        "camera",
        "disk",
        "backup",
    ]
    off = load_settings(write(tmp_path, "[alerts]\nenabled = false\n"))
    assert alert_options(off).rules == ()
