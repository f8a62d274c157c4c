"""Live in a real browser: framing without a picture, small lines, wrong clocks, lost connections, a
session from its own page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from dashboard.web.options import DashboardOptions
from edge_agent.core import clock as device_clock
from edge_agent.core.expression import Attribution, Emotion, ExpressionRow
from edge_agent.core.readings import VitalReading
from edge_agent.core.standing import Schedule, daily_hours
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.core.variability import Variability
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.inserts import write_expressions, write_vitals
from tests.browser.live.pages import live_page
from tests.browser.live_agent import LiveAgent
from tests.browser.served import Served
from tests.support.browser import PHONE, has_sideways_scroll, watched_page
from tests.support.dashboard import consenting, fill
from tests.support.timeline import mostly, query

pytestmark = pytest.mark.browser
FRAMING = """async () => {
  const live = document.querySelector('script[src$="js/live.js"]').src;
  const { framing } = await import(live.replace("live.js", "framing.js"));
  const faces = [
    { box: [0, 0.2, 0.3, 0.4], flaw: null }, { box: [0.1, 0, 0.8, 1], flaw: null },
    { box: [0.4, 0.4, 0.03, 0.04], flaw: "too_small" },
    { box: [0.4, 0.4, 0.1, 0.08], flaw: "turned_away" },
    { box: [0.4, 0.4, 0.2, 0.3], flaw: "too_dark" },
  ];
  const said = (face) => framing(face, { width: 640, height: 480 });
  return faces.map((face) => said(face).map(([words, isGood]) => `${words}|${isGood}`));
}"""

CLOSE_AND_PRESS_B = """() => {
  const sheet = document.getElementById("keys");
  const [button] = sheet.getElementsByTagName("button");
  button.focus();
  sheet.close();
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "b", bubbles: true }));
}"""
"""A key before the page is drawn again: the sheet just closed has the focus until then."""

SPARKLINE = """async () => {
  const live = document.querySelector('script[src$="js/live.js"]').src;
  const { Histories, sparkline } = await import(live.replace("live.js", "sparkline.js"));
  const now = 1790000400000;
  const histories = new Histories([]);
  const steps = [...Array(12).keys()];
  const alike = (value) => steps.map(() => value);
  const recorded = { starts: steps.map((n) => now - 120000 + 5000 * n), bucket_ms: 5000 };
  const means = { mean: alike(70), min: alike(67), max: alike(75), n: alike(10) };
  histories.fill({ heart_rate: { ...recorded, ...means } });
  for (let at = now - 60000; at < now; at += 500)
    histories.add({ kind: "heart_rate", at, value: at % 1000 ? 66 : 74 }, now);
  const shown = [{ kind: "heart_rate", colour: "--accent", digits: 0 }];
  const { picture, text } = sparkline(shown, histories, now);
  const line = picture.querySelector(".spark-line").getAttribute("d");
  const cuff = { kind: "systolic", colour: "--accent", digits: 0 };
  histories.add({ kind: "systolic", at: now, value: 131 }, now);
  const single = sparkline([cuff], histories, now).text;
  return [line.match(/ [\\d.]+/g).map(Number), text, single];
}"""


AHEAD = """async () => {
  const live = document.querySelector('script[src$="js/live.js"]').src;
  const { VitalTiles } = await import(live.replace("live.js", "vitals.js"));
  const { deviceNow } = await import(live.replace("live.js", "page.js"));
  const place = () => document.createElement("div");
  const places = { first: place(), others: place(), section: place(), empty: place() };
  const heart = { kind: "heart_rate", title: "Heart rate", unit: "/min", digits: 0, stream: true };
  const at = deviceNow();
  const read = (when, value) => ({ kind: "heart_rate", at: when, value, flags: [] });
  const recorded = [read(at - 9000, 80), read(at - 4000, 74), read(at + 60000, 73)];
  new VitalTiles(places, [heart], ["heart_rate"], recorded, []).draw();
  return [".tile-value", ".tile-span"].map((name) => places.first.querySelector(name).textContent);
}"""


UNKNOWN = """async () => {
  const live = document.querySelector('script[src$="js/live.js"]').src;
  const { memberOf } = await import(live.replace("live.js", "messages.js"));
  const said = [];
  console.error = (text) => said.push(text);
  const names = [["flags", "lost_at_sea"], ["brokers", "moved"], ["flags", "lost_at_sea"]];
  const found = names.map(([register, name]) => memberOf(register, name));
  return [found.map(({ says, badge }) => `${says}|${badge}`), said];
}"""


WRONG_CLOCK = """
const Right = Date;
window.Date = class extends Right {
  constructor(...given) { super(...(given.length ? given : [Date.now()])); }
  static now() { return Right.now() + 5 * 60000; }
};
"""
SLEPT_S = 60
PAINTED = """([first, last]) => {
  const canvas = document.getElementById("strip");
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
  const now = Math.floor(Date.now() / 1000);
  for (let second = first; second <= last; second++) {
    const x = Math.floor((119.5 - (now - second)) * canvas.width / 120);
    if (data[4 * x + 3] === 0) return false;
  }
  return true;
}"""


class Clock:
    """The clock of the device, which somebody sets; it stands in for the module ``time``."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time_ns(self) -> int:
        """Return the time of day in nanoseconds."""
        return time.time_ns() + self.ahead_s * 1_000_000_000


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard over some minutes of recording, with an agent that sees a face."""
    folder = tmp_path_factory.mktemp("live")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=4)
    consenting(database, "P-01")
    with LiveAgent(folder, Emotion.HAPPINESS), Served(folder) as served:
        yield served


@pytest.fixture(scope="module")
def login(dashboard: Served) -> StorageState:
    """The cookie of somebody who is logged in."""
    return dashboard.login()


def framing(page: Page) -> list[str]:
    """What is said of place, size, light and pose."""
    return page.locator("#framing dd").all_text_contents()


def test_live_tells_how_the_face_stands_and_the_last_minutes_went(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login, size=PHONE) as page:
        page.goto(f"{dashboard.address}/live")
        expect(page.locator("#framing-ready")).to_have_text("ready")
        assert framing(page) == ["in the zone", "200 px, 48 needed", "enough", "towards the camera"]
        expect(page.locator("#place .face-zone")).to_have_count(1)
        pressure = page.locator('[data-tile="systolic"]')
        expect(pressure.locator(".spark path")).to_have_count(2)
        one = r"(steady at \d+|\d+ to \d+)"
        expect(pressure.locator(".tile-span")).to_have_text(re.compile(f"^5 min: {one} / {one}$"))
        assert not has_sideways_scroll(page)


@pytest.mark.parametrize("language", ["en", "de"])
def test_live_on_phone_shows_expression_heart_rate_and_pressure_unscrolled(
    browser: Browser, dashboard: Served, login: StorageState, language: str
) -> None:
    with watched_page(browser, login, size=(390, 844), locale=language) as page:
        page.goto(f"{dashboard.address}/live")
        expect(page.locator("#band-names li")).to_have_text(re.compile(r" 86 %$"))
        expect(page.locator("[data-tile=heart_rate] .tile-value")).to_contain_text("71")
        foot = page.get_by_role("navigation").first.bounding_box()
        assert foot
        for what in ("#now-label", "#band-names", "#valence-value", ".tiles-first .tile-note"):
            # In one look: a reading that arrives makes its tile anew.
            ends = page.locator(what).evaluate_all(
                "found => found.map(one => one.getBoundingClientRect().bottom)"
            )
            assert ends and max(ends) < foot["y"], what


def test_a_camera_that_is_missing_is_told_once_with_the_command_that_helps(
    browser: Browser, tmp_path: Path
) -> None:
    migrate(DashboardOptions(data=tmp_path).database)
    cause = "/dev/video9: there is no such camera. Plug it in; `v4l2-ctl --list-devices` lists it."
    camera = {"state": "failed", "reason": cause, "frame_age_seconds": 28.0}
    broker = {"state": "disabled"}
    with (
        LiveAgent(tmp_path, None) as agent,
        Served(tmp_path) as served,
        watched_page(browser, served.login()) as page,
    ):
        page.goto(f"{served.address}/live")
        expect(page.locator("#agent-state")).to_have_text("agent running")
        agent.say({"type": "state", "camera": camera, "broker": broker, "clock_synchronised": True})
        expect(page.locator("#camera-notice code")).to_have_text("v4l2-ctl --list-devices")
        expect(page.locator("#now-detail")).to_have_text(re.compile(r"^No picture for \d+ s$"))
        expect(page.locator("#place-text")).to_have_text(re.compile(r"^No picture for \d+ s\.$"))
        told = page.locator("main").inner_text()
        assert told.count("no such camera") == 1 and "`" not in told
        expect(page.locator("#checklist-sum")).to_have_text("look at: Camera")
        expect(page.locator("#checklist")).to_be_visible()
        seen = {"state": "open", "reason": None, "frame_age_seconds": 0.1}
        agent.say({"type": "state", "camera": seen, "broker": broker, "clock_synchronised": True})
        expect(page.locator("#checklist-sum")).to_have_text("all is well")


def test_health_says_what_is_wrong_first_and_the_rest_by_weight(
    browser: Browser, tmp_path: Path
) -> None:
    migrate(DashboardOptions(data=tmp_path).database)
    report = {
        "type": "health",
        "at": device_clock.now().wall_ms,
        "camera": {"fps": 14.9},
        "disk": {"free_bytes": 300_000_000},
        "temperature_celsius": 50.0,
        "clock_synchronised": True,
    }
    low = {"name": "disk_low", "text": "Only 300 MB are free. Lower `record.budget_mb`."}
    strap = {"name": "bluetooth", "text": "The strap does not answer."}
    with (
        LiveAgent(tmp_path, None) as agent,
        Served(tmp_path) as served,
        watched_page(browser, served.login()) as page,
    ):
        agent.say(report | {"alarms": [low, strap]})
        page.goto(f"{served.address}/health")
        wrong = page.locator("#tiles-wrong .tile")
        expect(wrong).to_have_text("Disk free300 MBOnly 300 MB are free. Lower record.budget_mb.")
        expect(page.locator("#alarms li")).to_have_text(strap["text"])
        expect(page.locator("#tiles-first .tile").first).to_contain_text("Frames per second14.9")
        expect(page.locator("#tiles-rest")).to_be_hidden()
        expect(page.locator("#agent-well")).to_be_hidden()
        doubt = {"clock_synchronised": False, "copies": {"last_good_age_seconds": None}}
        agent.say(report | doubt | {"alarms": []})
        expect(wrong).to_contain_text("Connect to a network or fit a clock module.")
        expect(page.locator("#tiles-first")).to_contain_text("Last good copynone yet")
        agent.say(report | {"alarms": []})
        expect(page.locator("#agent-well")).to_be_visible()
        expect(wrong).to_have_count(0)
        page.locator("#tiles-fold summary").click()
        expect(page.locator("#tiles-rest")).to_contain_text("Processor50 °C")


def test_live_shows_the_strongest_movements_and_where_the_head_is_turned(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        expect(page.locator("#pose")).to_have_text("turned 12° to the left, 7° down")
        lines = page.locator("#movements li")
        expect(lines).to_have_count(6)
        expect(lines.nth(0)).to_have_text("mouth corners up82 %")
        expect(lines.nth(1)).to_have_text("jaw open40 %")


def test_live_shows_valence_and_heart_rate_only_with_a_rest_and_a_strap(
    browser: Browser, tmp_path: Path
) -> None:
    database = DashboardOptions(data=tmp_path).database
    migrate(database)
    study = consenting(database, "P-01")
    now = device_clock.now()
    study.start_session(NewSession("P-01", Purpose.RESEARCH, "films"), now.shift(-90))
    at_rest = [
        VitalReading(now.shift(at), VitalKind.HEART_RATE, 63.0, "simulated")
        for at in range(-80, -60)
    ]
    with write_transaction(database) as connection:
        write_vitals(connection, [(one, None) for one in at_rest])
    with Served(tmp_path) as served, watched_page(browser, served.login()) as page:
        plane, none = page.locator("#plane"), page.locator("#plane-none")
        page.clock.install()
        with LiveAgent(tmp_path, Emotion.HAPPINESS):
            page.goto(f"{served.address}/live")
            expect(none).to_have_text(re.compile("^No baseline yet"))
            expect(plane).to_be_hidden()
            study.add_marker(MarkerKind.BASELINE, "", now.shift(-80))
            expect(plane).to_be_visible()
            expect(none).to_be_hidden()
            expect(page.locator("#plane-text")).to_have_text(
                re.compile(r"^Valence 0\.\d\d \(derived\), heart rate 8 /min above rest\.")
            )
            expect(page.locator("#plane-rest")).to_have_text(
                re.compile(r"rest \(63 /min, baseline at ")
            )
            expect(page.locator(".plane-trail").nth(3)).to_be_attached()
            assert "arousal" not in page.locator("main").inner_text().lower()
            page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            assert not has_sideways_scroll(page)
        page.clock.fast_forward("00:30")
        expect(plane).to_be_hidden()  # the strap is silent


def test_face_that_is_not_known_has_no_emotion_on_live(browser: Browser, tmp_path: Path) -> None:
    migrate(DashboardOptions(data=tmp_path).database)
    with LiveAgent(tmp_path, Emotion.HAPPINESS) as agent, Served(tmp_path) as served:
        agent.attribution = Attribution.UNKNOWN
        with watched_page(browser, served.login()) as page:
            page.goto(f"{served.address}/live")
            expect(page.locator("#now-detail")).to_have_text("It is not known whose face it is")
            expect(page.locator("#now-label")).to_have_text("–")
            said = re.compile("^One face in the picture; it is not known whose it is")
            expect(page.locator("#place-text")).to_have_text(said)
            expect(page.locator("#place .face")).not_to_have_class(re.compile("face-primary"))
            expect(page.locator("#framing-ready")).to_have_text("ready")
            expect(page.locator("#strip-text")).to_have_text("not known 100 %")


def test_framing_names_what_is_wrong_and_what_was_not_judged(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        left, close, small, turned, dark = page.evaluate(FRAMING)
    assert left[0] == "too far left|false" and close[0] == "too close|false"
    assert small[1:] == [
        "19 px, 48 needed: come closer|false",
        "not assessed yet|null",
        "not assessed yet|null",
    ]
    assert turned[1].endswith("closer is better|false") and turned[3] == "turned away|false"
    assert dark[2:] == ["too dark: add light from the front|false", "towards the camera|true"]


def test_a_small_line_is_as_smooth_while_watched_as_before(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        heights, text, single = page.evaluate(SPARKLINE)
    # a minute of means recorded in steps of 5 s, and a minute heard live, 66 and 74 in turn
    assert len(heights) == 24 and set(heights) == {20.0}, "all means are 70"
    assert text == "5 min: 66 to 75"
    assert single == "5 min: one reading"


def test_live_reading_ahead_of_the_page_clock_is_in_the_range_below_it(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        assert page.evaluate(AHEAD) == ["73 /min", "5 min: 73 to 80"]


def test_live_shows_variability_with_its_limits_or_why_there_is_none(
    browser: Browser, tmp_path: Path
) -> None:
    migrate(DashboardOptions(data=tmp_path).database)
    now_ms = device_clock.now().wall_ms
    few = Variability("strap", now_ms, 0.42, 150)
    many = Variability("strap", now_ms, 0.97, 340, 41.25, 38.9, 42.3)
    with (
        LiveAgent(tmp_path, Emotion.HAPPINESS) as agent,
        Served(tmp_path) as served,
        watched_page(browser, served.login()) as page,
    ):
        page.goto(f"{served.address}/live")
        line = page.locator("#variability")
        expect(line).to_be_hidden()
        agent.say({"type": "variability", **few.as_json()})
        expect(line).to_contain_text("good beats fill 42 % of the last five minutes")
        agent.say({"type": "variability", **many.as_json()})
        expect(line).to_contain_text(
            "41 ms; by the errors of its beats the true one is 39 to 42 ms"
        )
        same = Variability("strap", now_ms, 0.97, 340, 41.9, 41.8, 42.3)
        agent.say({"type": "variability", **same.as_json()})
        expect(line).to_contain_text(
            "42 ms; by the errors of its beats the true one is 42 ms (95 %)"
        )


def test_the_keys_of_a_page_are_shown_but_not_while_typing(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        sheet = page.get_by_role("dialog", name="Keys")
        page.keyboard.press("?")
        expect(sheet).to_contain_text("start the condition of that number")
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
        page.goto(f"{dashboard.address}/study")
        page.get_by_label("Code contains").press("?")
        expect(page.get_by_label("Code contains")).to_have_value("?")
        expect(sheet).to_be_hidden()
        page.get_by_role("button", name="Keys").click()
        expect(sheet).to_be_visible()


def test_single_keys_set_a_baseline_write_a_note_and_end_the_session(
    browser: Browser, tmp_path: Path
) -> None:
    migrate(DashboardOptions(data=tmp_path).database)
    with Served(tmp_path) as served, watched_page(browser, served.login()) as page:
        study = consenting(served.database)
        whole_days = daily_hours(range(1, 8), "00:00", "24:00")
        study.give_standing("P-01", Schedule("1", whole_days, Purpose.RESEARCH))
        study.start_session(NewSession("P-01", Purpose.RESEARCH, "films"), device_clock.now())
        page.goto(f"{served.address}/live")
        bar = page.locator("#session-bar")
        expect(bar).to_be_visible()
        standing = page.locator("#session-standing")
        expect(standing).to_contain_text("standing session of P-01 waits until no other session")
        sheet = page.get_by_role("dialog", name="Keys")
        page.keyboard.press("?")
        expect(sheet).to_contain_text("begin the baseline")
        page.keyboard.press("b")
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()  # Chromium closes it a moment later
        expect(bar).to_contain_text("0 markers")
        page.keyboard.press("?")
        expect(sheet).to_be_visible()
        page.evaluate(CLOSE_AND_PRESS_B)
        expect(page.locator("#session-said")).to_contain_text("Baseline begins")
        page.keyboard.press("n")
        page.keyboard.type("be near")
        page.keyboard.press("Enter")
        expect(page.locator("#session-said")).to_have_text("Note added")
        page.keyboard.press("Escape")
        page.once("dialog", lambda dialog: dialog.accept())
        page.keyboard.press("e")
        expect(page.locator("#session-ended")).to_contain_text("films of P-01 has ended")
        study.keep_standing(device_clock.now(), camera_on=True)
        expect(standing).to_have_text(re.compile(r"Standing session of P-01 until \d\d:\d\d"))
    session = served.study.sessions()[-1]
    assert session.end_ms is not None
    told = query(served.database, "SELECT kind, label FROM marker ORDER BY id")
    assert told == [("baseline", "neutral"), ("note", "be near")]


def test_a_page_that_slept_shows_what_was_recorded_meanwhile(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        LiveAgent(tmp_path, Emotion.HAPPINESS),
        Served(tmp_path) as served,
        live_page(browser, served.address, served.login(), has_own_clock=True) as page,
    ):
        at = device_clock.now()
        shown = mostly(Emotion.HAPPINESS, 0.8)
        recorded = [
            ExpressionRow(at.shift(-n), 1, 10, shown, shown, Emotion.HAPPINESS, 140.0, 0.8, True)
            for n in range(40, 20, -1)
        ]
        with write_transaction(served.database) as connection:
            write_expressions(connection, [(row, None) for row in recorded], 1000, simulated=False)
        with page.expect_request(lambda one: one.url.endswith("/api/v1/live")):
            page.clock.fast_forward(1000 * SLEPT_S)
        second = at.wall_ms // 1000 + SLEPT_S  # by the clock of the browser
        page.wait_for_function(PAINTED, arg=[second - 38, second - 22])
        expect(page.locator("#now-label")).to_have_text("happiness")


def test_a_browser_whose_clock_is_wrong_shows_the_device_s_times(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with live_page(browser, dashboard.address, login, WRONG_CLOCK) as page:
        expect(page.locator("#clock-notice")).to_contain_text("5 min ahead of the device’s")
        expect(page.locator("#strip-text")).to_contain_text("happiness")
        painted = """canvas => {
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.some(value => value > 0);
        }"""
        assert page.locator("#strip").evaluate(painted)
        expect(page.locator("[data-tile=heart_rate] .tile-note")).to_have_text("now")


def test_a_clock_of_the_device_that_jumps_is_reported(
    browser: Browser, dashboard: Served, login: StorageState, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(device_clock, "time", clock)
    with live_page(browser, dashboard.address, login) as page:
        notice = page.locator("#clock-notice")
        expect(notice).to_be_hidden()
        for ahead_s, where in ((300, "behind"), (-300, "ahead of")):
            clock.ahead_s = ahead_s
            expect(notice).to_contain_text(f"5 min {where} the device’s")
            expect(page.locator("#now-label")).to_have_text("happiness")
            expect(page.locator("#now-age")).to_have_text("· now")
            expect(page.locator("[data-tile=heart_rate] .tile-note")).to_have_text("now")
        clock.ahead_s = 0
        expect(notice).to_be_hidden()
        expect(page.locator("#now-label")).to_have_text("happiness")


def test_live_member_that_no_register_has_is_shown_and_logged_once(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        found, said = page.evaluate(UNKNOWN)
    assert found == ["lost_at_sea|", "moved|", "lost_at_sea|"]
    assert said == ["unknown in flags: lost_at_sea", "unknown in brokers: moved"]
