"""Experiments in a step of a protocol: markers, answers, and nothing of the dashboard."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from edge_agent.core.study import NewSession, Purpose, SessionSetting
from tests.browser.served import Served
from tests.support.broker import wait_until
from tests.support.browser import watched_page

pytestmark = pytest.mark.browser

PROTOCOL = """title = "Task"
[[step]]
kind = "stimulus"
label = "task"
experiment = "task.zip"
[[step]]
kind = "instruction"
text = "Done"
"""
JSPSYCH = {
    "jspsych@8.3.0": "jspsych.js",
    "@jspsych/plugin-html-keyboard-response@2.2.0": "plugin.js",
}
HEAD = '<!doctype html><html><head><meta charset="utf-8"><title>Task</title>'
# What a program of the frame may try to read of the dashboard; the operator is logged in there.
SPYING = (
    HEAD
    + """<script src="affect-edge.js"></script></head><body><p>Spy</p><script>
const ours = async (path, more) =>
  (await fetch(path, { credentials: "include", ...more })).text();
const loaded = (kind, path) => new Promise((done, no) => {
  const one = document.createElement(kind);
  Object.assign(one, { onload: () => done(one), onerror: no, src: path });
  document.body.append(one);
});
const tried = {
  page: () => ours("/study"),
  api: () => ours("/api/v1/participants"),
  change: () => ours("/api/v1/session/end", { method: "POST" }),
  around: () => parent.document.title,
  address: () => parent.location.href,
  from: () => { if (document.referrer === "") throw new Error("it says nothing"); },
  cookie: () => document.cookie,
  storage: () => localStorage.length,
  script: () => loaded("script", "/static/js/participate.js"),
  frame: async () => (await loaded("iframe", "/study")).contentDocument.title,
  elsewhere: () => fetch("https://example.org/"),
};
const late = () => new Promise((_, no) => setTimeout(no, 2000));
(async () => {
  const read = {};
  for (const [name, attempt] of Object.entries(tried)) {
    try { await Promise.race([attempt(), late()]); read[name] = "read"; }
    catch { read[name] = "refused"; }
  }
  read.own = await ours("own.json", { credentials: "same-origin" });
  affectEdge.data(read);
  affectEdge.finish();
})();
</script></body></html>"""
)
# A reaction-time task as jsPsych's documentation begins with: a cross, then a circle, F or J.
REACTION = (
    HEAD
    + """<script src="jspsych.js"></script><script src="plugin.js"></script>
<script src="affect-edge.js"></script></head><body></body><script>
const jsPsych = initJsPsych({ extensions: [{ type: jsPsychExtensionAffectEdge }] });
const shape = "width: 9rem; height: 9rem; border-radius: 50%";
const circle = (colour) => `<div id="circle" style="${shape}; background: ${colour}"></div>`;
const keys = jsPsychHtmlKeyboardResponse;
const cross = { type: keys, stimulus: "+", choices: "NO_KEYS", trial_duration: 200 };
const test = {
  type: keys,
  stimulus: jsPsych.timelineVariable("stimulus"),
  choices: ["f", "j"],
  data: { task: "response", right: jsPsych.timelineVariable("right") },
  extensions: [{ type: jsPsychExtensionAffectEdge, params: { marker: "circle" } }],
  on_finish: (data) => { data.correct = jsPsych.pluginAPI.compareKeys(data.response, data.right); },
};
jsPsych.run([
  { type: keys, stimulus: "Press any key" },
  {
    timeline: [cross, test],
    timeline_variables: [
      { stimulus: circle("blue"), right: "f" },
      { stimulus: circle("orange"), right: "j" },
    ],
  },
]);
</script></html>"""
)

# What a program may send that no table takes as it is.
ODD = (
    HEAD
    + """<script src="affect-edge.js"></script></head><body><script>
affectEdge.marker("go\\n1 \\ud83d");
const named = { "größe": 1, "gräße": 2 };
affectEdge.data({ long: "😀".repeat(1001), half: "\\ud83d", none: NaN, large: 10n, ...named });
affectEdge.finish();
</script></body></html>"""
)


def _packed(place: Path, files: Mapping[str, str | Path]) -> None:
    with zipfile.ZipFile(place, "w") as archive:
        for name, content in files.items():
            if isinstance(content, Path):
                archive.write(content, name)
            else:
                archive.writestr(name, content)


def _downloaded(folder: Path) -> dict[str, Path]:
    """Return the scripts of jsPsych from npm; skip where they do not arrive."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: it brings jsPsych")
    scripts = {}
    for package, name in JSPSYCH.items():
        there = folder / name.removesuffix(".js")
        there.mkdir()
        try:
            done = subprocess.run(
                [npm, "pack", "--silent", package],
                cwd=there,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("jsPsych did not arrive within 60 s")
        archives = list(there.glob("*.tgz"))
        if done.returncode or not archives:
            pytest.skip(f"jsPsych cannot be downloaded: {done.stderr.strip()[-200:]}")
        subprocess.run(["tar", "-xf", str(archives[0]), "-C", str(there)], check=True)
        scripts[name] = there / "package" / "dist" / "index.browser.min.js"
    return scripts


def _begin(served: Served, page: Page) -> FrameLocator:
    """Run the protocol to its experiment; return the frame."""
    served.study.create_participant("P-1")
    served.study.give_consent("P-1", "1")
    runner = served.services.protocol_runner
    new = NewSession("P-1", Purpose.RESEARCH, "", setting=SessionSetting.LABORATORY)
    runner.start_session(new, served.options.library.find("task"), actor="ada")
    view = runner.view()
    assert view is not None
    page.goto(f"{served.address}/participate/{view.token}")
    page.get_by_role("button", name="I am ready").click()
    runner.go()
    return page.frame_locator("#experiment")


def _rows(served: Served, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{served.database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def _values(served: Served) -> list[tuple[Any, ...]]:
    sql = "SELECT wording, question, value FROM trial WHERE kind = 'experiment' ORDER BY id"
    return _rows(served, sql)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the protocol; the experiment is still to come."""
    folder = tmp_path / "protocols"
    folder.mkdir()
    (folder / "task.toml").write_text(PROTOCOL, encoding="utf-8")
    return folder


def test_experiment_reads_its_own_files_and_nothing_of_the_dashboard(
    browser: Browser, tmp_path: Path, folder: Path
) -> None:
    _packed(folder / "task.zip", {"index.html": SPYING, "own.json": '{"a": 1}'})
    with Served(tmp_path / "data", protocols=folder) as served:
        context = browser.new_context(storage_state=served.login())
        page = context.new_page()
        try:
            page.set_default_timeout(90_000)
            _begin(served, page)
            expect(page.locator("#instruction")).to_have_text("Done")
        finally:
            context.close()
        tried = {name: value for _, name, value in _values(served)}
    assert tried.pop("own") == '{"a": 1}'
    assert set(tried.values()) == {"refused"}, tried
    assert len(tried) == 11


def test_odd_values_of_an_experiment_are_stored_all_the_same(
    browser: Browser, tmp_path: Path, folder: Path
) -> None:
    _packed(folder / "task.zip", {"index.html": ODD})
    with Served(tmp_path / "data", protocols=folder) as served:
        with watched_page(browser, served.login()) as page:
            _begin(served, page)
            expect(page.locator("#instruction")).to_have_text("Done")
        stored = {name: value for _, name, value in _values(served)}
        markers = _rows(served, "SELECT 1 FROM marker WHERE label = 'experiment: go 1 \ufffd'")
    long = stored.pop("long")
    assert stored == {"half": "\ufffd", "none": "NaN", "large": "10", "gr__e": "1", "gr__e_2": "2"}
    assert long == "😀" * 999 + "\ufffd…"
    assert len(markers) == 1


def test_reaction_times_of_jspsych_are_stored_with_markers(
    browser: Browser, tmp_path: Path, folder: Path
) -> None:
    _packed(folder / "task.zip", {"index.html": REACTION, **_downloaded(tmp_path)})
    with Served(tmp_path / "data", protocols=folder) as served:
        with watched_page(browser, served.login()) as page:
            frame = _begin(served, page)
            expect(frame.get_by_text("Press any key")).to_be_visible()
            page.keyboard.press("a")
            for key in ("f", "f"):
                expect(frame.locator("#circle")).to_be_visible()
                page.wait_for_timeout(150)
                page.keyboard.press(key)
                expect(frame.locator("#circle")).to_be_hidden()
            expect(page.locator("#instruction")).to_have_text("Done")
            page.keyboard.press("Space")
            expect(page.locator("#screen-end h1")).to_be_visible()
            wait_until(lambda: served.study.open_session() is None, "the end on disk")
        values = _values(served)
        markers = _rows(served, "SELECT at FROM marker WHERE label = 'experiment: circle'")
        keys = _rows(served, "SELECT at, stood_ms FROM trial WHERE question = 'rt' ORDER BY id")
    trials = ["0", "1", "2", "3", "4"]
    kind = "html-keyboard-response"
    assert list(dict.fromkeys(wording for wording, *_ in values)) == [f"{n} {kind}" for n in trials]
    answers = [value for _, name, value in values if name == "response"]
    assert answers == ["a", None, "f", None, "f"]
    assert [value for _, name, value in values if name == "correct"] == ["true", "false"]
    times = [float(value) for _, name, value in values if name == "rt" and value is not None]
    assert all(100 < one < 60_000 for one in times[1:])
    # Each marker lies within its trial.
    for (marked,), (began, lasted) in zip(markers, (keys[2], keys[4]), strict=True):
        assert 0 <= marked - began <= lasted
