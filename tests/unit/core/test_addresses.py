"""Addresses print without their secrets, and texts of others are masked."""

from __future__ import annotations

import copy
import json
import pickle
import re
from urllib.parse import quote

import pytest
from pydantic import BaseModel, ValidationError

from edge_agent.config.alerts import AlertSettings
from edge_agent.config.camera import CameraSettings
from edge_agent.core.addresses import Address, MessageAddress, hide_each, masked
from edge_agent.core.errors import CameraError, CameraReason, ConfigError
from edge_agent.core.texts import Message

SHOWN = [
    ("0", "0"),
    ("/dev/video0", "/dev/video0"),
    ("/srv/films/a@b.mp4", "/srv/films/a@b.mp4"),
    ("ada:geheim@192.0.2.7/live", "…@192.0.2.7/live"),
    ("http://camera/a.jpg", "http://camera/a.jpg"),
    ("http://camera/a@b.jpg", "http://camera/a@b.jpg"),
    ("http://[::1]:8080/a.jpg", "http://[::1]:8080/a.jpg"),
    ("http://u:p@camera:81/a.jpg", "http://…@camera:81/a.jpg"),
    ("rtsp://token@host/1", "rtsp://…@host/1"),
    ("rtsp://u:p@ss:word@host/1", "rtsp://…@host/1"),
    ("rtsp://u:p/ss@host/1", "rtsp://…@host/1"),
    ("rtsp://u:12/34@host/1", "rtsp://…@host/1"),
    ("rtsp://u:p@ss/word@host/1", "rtsp://…@host/1"),
    ("rtsp://u:p?s#s@host/1", "rtsp://…@host/1"),
    ("rtsp://u:cut-off", "rtsp://…@"),
    ("http://camera/a.cgi?user=u&pwd=p#x", "http://camera/a.cgi?…"),
    ("http://camera/a.jpg#token", "http://camera/a.jpg#…"),
    ("rtsp://host/user=ada&password=geheim/live", "rtsp://host/user=…/live"),
    ("postgresql://reader@db/fleet?sslmode=require", "postgresql://…@db/fleet?…"),
]


@pytest.mark.parametrize(("whole", "shown"), SHOWN)
def test_address_however_printed_has_no_secret(whole: str, shown: str) -> None:
    address = Address(whole)
    assert [str(address), f"{address}", "%s" % address, address.shown] == [shown] * 4  # noqa: UP031
    assert repr(address) == f"Address({shown!r})"
    assert address.reveal() == whole
    assert pickle.loads(pickle.dumps(address)) == copy.deepcopy(address) == address


@pytest.mark.parametrize(
    ("whole", "shown"),
    [
        ("tgram://123456:ABC-token/98765", "tgram://…"),
        ("ntfys://push.example.org/topic", "ntfys://push.example.org/…"),
        ("mailtos://ward:geheim@example.org?to=a@example.org", "mailtos://example.org/…"),
        ("slack-token", "…"),
        ("https://[bad", "https://…"),
    ],
)
def test_message_address_shows_service_and_machine(whole: str, shown: str) -> None:
    assert str(MessageAddress(whole)) == shown


def test_settings_dump_and_error_hold_no_address() -> None:
    settings = CameraSettings(device="rtsp://ada:geheim@host/1")
    alerts = AlertSettings(notify=["tgram://123:geheim/1"])
    told = (
        f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {alerts!r}"
    )
    assert "geheim" not in told + alerts.model_dump_json()
    assert json.loads(settings.model_dump_json())["device"] == "rtsp://…@host/1"
    assert settings.device.reveal() == "rtsp://ada:geheim@host/1"
    assert settings.model_copy().device == settings.device
    with pytest.raises(ValidationError) as refused:
        CameraSettings(device=["rtsp://ada:geheim@host/1"])
    assert "geheim" not in str(refused.value)
    with pytest.raises(ValidationError, match="at least 1 character"):
        CameraSettings(device="")


def test_model_outside_the_configuration_reads_addresses_too() -> None:
    class Place(BaseModel):
        at: Address

    assert Place(at=Address("http://a:b@c")).at == Place.model_validate({"at": "http://a:b@c"}).at
    assert Place.model_json_schema()["properties"]["at"]["type"] == "string"


@pytest.mark.parametrize(
    "secret",
    [
        *("ada:p@ss/wo:rd", "p@ss/wo:rd", "rd", "ada"),
        *("p%40ss%2Fwo%3Ard", "p%40ss%2fwo%3ard", "p%2540ss%252Fwo%253Ard", "YWRhOnBAc3Mvd286cmQ="),
        *("k-öl 7", "k-%C3%B6l+7", "k-%c3%b6l%207", quote("k-öl 7")),
    ],
)
def test_text_of_a_library_loses_each_form_of_a_secret(secret: str) -> None:
    address = Address("rtsp://ada:p@ss/wo:rd@camera:554/live?channel=1&pwd=k-öl 7")
    text = address.hide_in(f"cannot open {secret} at camera:554, channel 1")
    assert text == "cannot open … at camera:554, channel 1"


def test_short_secret_is_hidden_only_as_a_word() -> None:
    address = Address("rtsp://me:12/34@host/1")
    assert address.hide_in("no me at port 12 (error 1234)") == "no … at port … (error 1234)"
    assert hide_each(["", "x", "öl"], "öl, oil, kohlöl, %C3%B6l") == "…, oil, kohlöl, …"


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ("rtsp://ada:p#ss@host/live", "is no address"),
        ("rtsp://ada:1#ss@host/live", "holds #"),
        ("rtsp://ada:p/w@host/live", "is no address"),
        ("http://ada:p?w@host/live", "is no address"),
        ("http://ada:p[w@host/live", "is no address"),
        ("http://host:99999/", "out of range"),
        ("rtsp:///live", "names no host"),
        ("ada:pw@host/live", "does not begin like"),
    ],
)
def test_address_that_leads_nowhere_says_why_and_no_letter(whole: str, said: str) -> None:
    problem = Address(whole).problem
    assert said in problem
    with pytest.raises(ValidationError, match=said) as refused:
        CameraSettings.model_validate({"source": "opencv", "device": whole})
    assert CameraSettings.model_validate({"source": "demo", "device": whole}).source == "demo"
    for text in (problem, refused.value.errors()[0]["msg"]):
        assert not re.findall(r"\b(?:p|w|1|ss|pw|ada)\b", text), text


@pytest.mark.parametrize(
    "whole",
    [
        *("0", "/dev/video0", "~/film: of a day.mp4", "http://host", "rtsp://host:554/live@2"),
        *("rtsp://ada:p%23s%2Fs@host/x", "rtsp://ada:p@ss@host/x", "http://host/a?u=a@b"),
        "http://[fe80::1]:80/",
    ],
)
def test_address_that_may_lead_somewhere_has_no_problem(whole: str) -> None:
    assert Address(whole).problem == ""
    settings = CameraSettings.model_validate({"source": "opencv", "device": whole})
    assert settings.device == Address(whole)


def test_single_letter_of_a_password_is_hidden_where_it_stands_alone() -> None:
    address = Address("postgresql://reader:p#1@db/fleet")
    text = address.hide_in("Port could not be cast to integer value as 'p' (pool, 1 try, port 10)")
    assert text == "Port could not be cast to integer value as '…' (pool, … try, port 10)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open 'rtsp://a:b@h/1': late", "cannot open 'rtsp://…@h/1': late"),
        ("(http://h/x?pwd=b).", "(http://h/x?…)."),
        ("GET /a.cgi?user=a&pwd=b HTTP/1.1", "GET /a.cgi?user=…&pwd=… HTTP/1.1"),
        ("host=db user=reader password=b", "host=db user=reader password=…"),
        ("password = 'a b'", "password = '…'"),
        ('{"token": "b", "n": 1}', '{"token": "…", "n": 1}'),
        ("{'api_key': 'b'}", "{'api_key': '…'}"),
        ("AFFECT_EDGE_MQTT__PASSWORD=b", "AFFECT_EDGE_MQTT__PASSWORD=…"),
        ("Authorization: Basic YWRhOnNlY3JldA==", "Authorization: Basic …"),
        ("invalid address ada:b@db", "invalid address …@db"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Write camera.device like http://user:password@192.168.1.20/snapshot.jpg.",
        "such as postgresql://reader@db.example/fleet.",
        "password_file = '/etc/affect-edge/mqtt'",
        "Check user and password in camera.device.",
        "http://192.168.1.20:8080/live gives 640×480",
        "basic settings, bearer of news, p = .03, key=value",
    ],
)
def test_text_without_a_secret_stays_the_same_object(text: str) -> None:
    assert masked(text) is text


def test_error_of_ours_is_masked_and_stays_translatable() -> None:
    message = Message("{place} does not answer", place="rtsp://a:geheim@h/1")
    error = CameraError(CameraReason.NOT_FOUND, message, "Try http://a:geheim@h/1.")
    assert "geheim" not in f"{error} {error.problem} {error.cure} {error!r}"
    shown = masked(message)
    assert isinstance(shown, Message)
    assert (shown.template, shown) == (message.template, "rtsp://…@h/1 does not answer")
    assert str(ConfigError("{a}: wrong", a="pwd=geheim")) == "pwd=…: wrong"
