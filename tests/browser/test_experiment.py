"""Experiments in a step of a protocol: markers, answers, and nothing of the dashboard."""

from __future__ import annotations

import json
import re
import shutil
import socketserver
import sqlite3
import subprocess
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from dashboard.protocols.experiments import FORBIDDEN
from edge_agent.core.study import NewSession, Purpose, SessionSetting
from tests.browser.served import Served
from tests.support.broker import wait_until
from tests.support.browser import DEADLINE_MS, watched_page

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
    "@jspsych/plugin-survey-text@2.1.1": "survey.js",
}
HEAD = '<!doctype html><html><head><meta charset="utf-8"><title>Task</title>'
ELSEWHERE = "http://127.0.0.1:{port}"
# What a program of the frame may try; the operator is logged in around it. One that would say
# nothing of its own throws in the end: then it counts what arrives elsewhere, opens or loads.
PROBES = {
    "dashboard": """
  page: () => ours("/study"),
  api: () => ours("/api/v1/participants"),
  change: () => ours("/api/v1/protocol/end", { method: "POST" }),
  beacon: () => silently(navigator.sendBeacon("/api/v1/protocol/end")),
  around: () => parent.document.title,
  address: () => parent.location.href,
  top: () => top.document.cookie,
  from: () => refusedIf(document.referrer === ""),
  script: () => loaded("script", "/static/js/participate.js"),
  picture: () => loaded("img", "/api/v1/picture"),
""",
    "storage": """
  cookie: () => document.cookie,
  setCookie: () => { document.cookie = "a=1"; },
  local: () => localStorage.length,
  session: () => sessionStorage.setItem("a", "1"),
  database: () => new Promise((done, no) => {
    Object.assign(indexedDB.open("a"), { onsuccess: done, onerror: no });
  }),
  cache: () => caches.open("a"),
  files: () => navigator.storage.getDirectory(),
""",
    "network": """
  fetch: () => fetch(elsewhere, { mode: "no-cors" }),
  farPicture: () => loaded("img", elsewhere),
  farScript: () => loaded("script", elsewhere),
  farSound: () => heard(Object.assign(new Audio(elsewhere), { preload: "auto" }), "canplay"),
  style: () => { const one = document.createElement("link");
    one.rel = "stylesheet"; one.href = elsewhere; document.head.append(one);
    return heard(one, "load"); },
  socket: () => heard(new WebSocket(elsewhere.replace("http", "ws")), "open"),
  events: () => heard(new EventSource(elsewhere), "open"),
  farBeacon: () => silently(navigator.sendBeacon(elsewhere, "x")),
""",
    "workers": """
  worker: () => heard(new Worker("work.js"), "message"),
  blobWorker: () => heard(new Worker(URL.createObjectURL(
    new Blob(["postMessage(1)"], { type: "text/javascript" }))), "message"),
  sharedWorker: () => heard(new SharedWorker("work.js").port, "message"),
  serviceWorker: () => navigator.serviceWorker.register("work.js"),
""",
    "frames": """
  frame: async () => (await loaded("iframe", "/study")).contentDocument.title,
  farFrame: () => silently(document.body.append(
    Object.assign(document.createElement("iframe"), { src: elsewhere }))),
  farObject: () => silently(document.body.append(
    Object.assign(document.createElement("object"), { data: elsewhere }))),
""",
    "windows": """
  popup: () => refusedIf(open(elsewhere) === null),
  alert: () => silently(alert("a")),
  confirm: () => silently(confirm("a")),
  prompt: () => silently(prompt("a")),
  download: () => silently(Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(new Blob(["a"])), download: "a.csv" }).click()),
  fullScreen: () => document.documentElement.requestFullscreen(),
  pointer: () => document.body.requestPointerLock(),
  leaveAll: () => { top.location.href = elsewhere; },
""",
    "forms": """
  form: () => silently(sent(elsewhere, "post", "_self")),
  formAround: () => silently(sent(elsewhere, "get", "_top")),
  formBeside: () => silently(sent(elsewhere, "get", "_blank")),
  formHome: () => silently(sent("/api/v1/protocol/end", "post", "_self")),
""",
    "code": """
  eval: () => eval("1"),
  made: () => new Function("return 1")(),
  later: () => silently(setTimeout("affectEdge.data({ later: 1 })", 0)),
  compiled: () => WebAssembly.instantiate(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)),
""",
    "devices": """
  camera: () => navigator.mediaDevices.getUserMedia({ video: true }),
  microphone: () => navigator.mediaDevices.getUserMedia({ audio: true }),
  screen: () => navigator.mediaDevices.getDisplayMedia(),
  place: () => new Promise((done, no) => navigator.geolocation.getCurrentPosition(done, no)),
  usb: () => navigator.usb.requestDevice({ filters: [] }),
  clipboard: () => navigator.clipboard.readText(),
""",
}
PROBE = re.compile(r"(?m)^  \w+: ")
SPYING = (
    HEAD
    + """<script src="affect-edge.js"></script></head><body><p>Spy</p><script>
const elsewhere = "ELSEWHERE";
const ours = async (path, more) =>
  (await fetch(path, { credentials: "include", ...more })).text();
const heard = (one, name) => new Promise((done, no) => {
  one.addEventListener(name, () => done(one));
  one.addEventListener("error", no);
});
const loaded = (kind, path) => {
  const one = Object.assign(document.createElement(kind), { src: path });
  document.body.append(one);
  return heard(one, "load");
};
const refusedIf = (refused) => { if (refused) throw new Error("refused"); };
const silently = () => refusedIf(true);
const sent = (action, method, target) => {
  const form = Object.assign(document.createElement("form"), { action, method, target });
  form.append(Object.assign(document.createElement("input"), { name: "a", value: "1" }));
  document.body.append(form);
  form.submit();
};
const tried = { PROBES };
const late = () => new Promise((_, no) => setTimeout(no, 2000));
(async () => {
  const read = {};
  for (const [name, attempt] of Object.entries(tried)) {
    try { await Promise.race([attempt(), late()]); read[name] = "read"; }
    catch { read[name] = "refused"; }
  }
  read.own = await ours("own.json", { credentials: "same-origin" });
  const found = Object.assign(document.createElement("pre"), { id: "found" });
  found.textContent = JSON.stringify(read);
  document.body.append(found);
  document.addEventListener("keydown", () => { location.href = elsewhere; });
})();
</script></body></html>"""
)
# A form as survey plugins have them: its script gets what was typed.
FORM = (
    HEAD
    + """<script src="affect-edge.js"></script></head><body>
<form action="https://example.org/"><input name="who" required>
<button>Continue</button></form><script>
document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  affectEdge.data(Object.fromEntries(new FormData(event.target)));
  affectEdge.finish();
});
</script></body></html>"""
)
# A reaction-time task as jsPsych's documentation begins with: a cross, then a circle, F or J.
REACTION = (
    HEAD
    + """<script src="jspsych.js"></script><script src="plugin.js"></script>
<script src="survey.js"></script><script src="affect-edge.js"></script></head><body></body><script>
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
  { type: jsPsychSurveyText, questions: [{ prompt: "Who?", name: "who" }] },
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
const shape = { side: 1 };
shape.within = { shape };
affectEdge.data({
  shape,
  deep: { large: 10n, none: Infinity, there: undefined, list: [undefined, 2, () => 1] },
  pairs: new Map([[1, "a"]]), day: new Date(0), bytes: Uint8Array.of(1, 2), same: [named, named],
  act() {}, sign: Symbol("a"), error: new Error("a"), body: document.body,
  get broken() { throw new Error("a"); },
  partly: { a: 1, get b() { throw new Error("a"); } },
  endless: { *[Symbol.iterator]() { for (;;) yield 1; } },
});
affectEdge.data(Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`n${n}`, n])));
affectEdge.data("a text");
document.body.append(Object.assign(new Image(), { src: "gone.png", onerror: affectEdge.finish }));
</script></body></html>"""
)
ODD_STORED = {
    "half": "\ufffd",
    "none": "NaN",
    "large": "10",
    "gr__e": "1",
    "gr__e_2": "2",
    "shape": '{"side":1,"within":{"shape":null}}',
    "deep": '{"large":"10","none":"Infinity","list":[null,2,null]}',
    "pairs": '[[1,"a"]]',
    "day": "1970-01-01T00:00:00.000Z",
    "bytes": "[1,2]",
    "same": '[{"größe":1,"gräße":2},{"größe":1,"gräße":2}]',
    "partly": '{"a":1}',
}
ODD_LOST = ["long", "shape", "deep", "act", "sign", "error", "body", "broken", "partly"]
ODD_LOST += ["endless", "n100", "data"]


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


@contextmanager
def _page(browser: Browser, served: Served) -> Iterator[Page]:
    """Open a page that may complain: what a frame refuses stands in the console."""
    context = browser.new_context(storage_state=served.login())
    context.set_default_timeout(DEADLINE_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def _shown(served: Served, page: Page, way: str) -> FrameLocator:
    """Show the experiment in a session, or in a preview; return its frame."""
    if way == "session":
        return _begin(served, page)
    page.goto(f"{served.address}/protocols/task/preview/0")
    return page.frame_locator("#experiment")


@contextmanager
def arrivals() -> Iterator[tuple[int, list[bytes]]]:
    """Listen where no experiment may send anything; yield the port, and what arrives there."""
    arrived: list[bytes] = []

    class Note(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            arrived.append(self.request.recv(200))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], arrived
        server.shutdown()


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


@pytest.mark.parametrize("way", ["session", "preview"])
def test_frame_forbids_an_experiment_what_is_listed(
    browser: Browser, tmp_path: Path, folder: Path, way: str
) -> None:
    assert set(PROBES) == set(FORBIDDEN)
    with arrivals() as (port, arrived):
        spying = SPYING.replace("PROBES", "".join(PROBES.values()))
        spying = spying.replace("ELSEWHERE", ELSEWHERE.format(port=port))
        work = "postMessage(1); onconnect = (e) => e.ports[0].postMessage(1);"
        inside = {"index.html": spying, "own.json": '{"a": 1}', "work.js": work}
        _packed(folder / "task.zip", inside)
        opened: list[object] = []

        def note(one: object) -> None:
            opened.append(one)

        with Served(tmp_path / "data", protocols=folder) as served:
            with _page(browser, served) as page:
                for event in ("dialog", "download", "popup"):
                    page.on(event, note)
                frame = _shown(served, page, way)
                tried = json.loads(frame.locator("#found").text_content() or "")
                with page.expect_event("framenavigated", lambda one: "chrome-error" in one.url):
                    page.keyboard.press("a")
            if way == "session":
                assert served.study.open_session() is not None
            rows = _values(served)
    assert tried.pop("own") == '{"a": 1}'
    assert {name for name, found in tried.items() if found != "refused"} == set()
    assert len(tried) == sum(map(len, map(PROBE.findall, PROBES.values()))) > 50
    assert (arrived, opened, rows) == ([], [], [])


@pytest.mark.parametrize("way", ["session", "preview"])
def test_form_of_an_experiment_gives_its_script_what_was_typed(
    browser: Browser, tmp_path: Path, folder: Path, way: str
) -> None:
    _packed(folder / "task.zip", {"index.html": FORM})
    with Served(tmp_path / "data", protocols=folder) as served:
        with watched_page(browser, served.login()) as page:
            frame = _shown(served, page, way)
            frame.locator("input").fill("somebody")
            frame.get_by_role("button").click()
            if way == "session":
                expect(page.locator("#instruction")).to_have_text("Done")
            else:
                expect(page.get_by_text("The experiment has ended.")).to_be_visible()
                expect(page.get_by_role("link", name="Next")).to_be_focused()
        values = _values(served)
    assert values == ([("", "who", "somebody")] if way == "session" else [])


def test_odd_values_of_an_experiment_are_stored_and_the_rest_reported(
    browser: Browser, tmp_path: Path, folder: Path
) -> None:
    _packed(folder / "task.zip", {"index.html": ODD})
    with Served(tmp_path / "data", protocols=folder) as served:
        with _page(browser, served) as page:
            _shown(served, page, "session")
            expect(page.locator("#instruction")).to_have_text("Done")
            operator = page.context.new_page()
            operator.goto(f"{served.address}/protocol")
            told = operator.locator("#reports").text_content() or ""
        stored = {name: value for _, name, value in _values(served)}
        markers = _rows(served, "SELECT 1 FROM marker WHERE label = 'experiment: go 1 \ufffd'")
        notes = "SELECT 1 FROM marker WHERE label LIKE 'protocol: Not stored, or not whole: %'"
        assert len(_rows(served, notes)) == len(ODD_LOST)
    assert stored.pop("long") == "😀" * 999 + "\ufffd…"
    assert stored.pop("endless").endswith("1,1,…")
    assert [stored.pop(f"n{n}") for n in range(100)] == [str(n) for n in range(100)]
    assert stored == ODD_STORED
    assert len(markers) == 1
    *lost, trouble = told.splitlines()
    assert lost == [f"Not stored, or not whole: {name}" for name in ODD_LOST]
    assert trouble.startswith("Refused or failed: ") and "gone.png: does not load" in trouble


def test_preview_names_what_a_session_would_not_store(
    browser: Browser, tmp_path: Path, folder: Path
) -> None:
    _packed(folder / "task.zip", {"index.html": ODD})
    with Served(tmp_path / "data", protocols=folder) as served:
        with _page(browser, served) as page:
            _shown(served, page, "preview")
            expect(page.locator("#preview-lost")).to_contain_text(", ".join(ODD_LOST))
            expect(page.locator("#preview-trouble")).to_contain_text("gone.png: does not load")
        assert _values(served) == []


def test_reaction_times_of_jspsych_are_stored_with_markers(
    browser: Browser, tmp_path: Path, folder: Path
) -> None:
    _packed(folder / "task.zip", {"index.html": REACTION, **_downloaded(tmp_path)})
    with Served(tmp_path / "data", protocols=folder) as served:
        with _page(browser, served) as page:
            frame = _begin(served, page)
            expect(frame.get_by_text("Press any key")).to_be_visible()
            page.keyboard.press("a")
            for key in ("f", "f"):
                expect(frame.locator("#circle")).to_be_visible()
                page.wait_for_timeout(150)
                page.keyboard.press(key)
                expect(frame.locator("#circle")).to_be_hidden()
            frame.locator("input[type=text]").fill("somebody")
            frame.get_by_role("button", name="Continue").click()
            expect(page.locator("#instruction")).to_have_text("Done")
            page.keyboard.press("Space")
            expect(page.locator("#screen-end h1")).to_be_visible()
            wait_until(lambda: served.study.open_session() is None, "the end on disk")
        values = _values(served)
        markers = _rows(served, "SELECT at FROM marker WHERE label = 'experiment: circle'")
        keys = _rows(served, "SELECT at, stood_ms FROM trial WHERE question = 'rt' ORDER BY id")
    kinds = [*["html-keyboard-response"] * 5, "survey-text"]
    wordings = [f"{n} {kind}" for n, kind in enumerate(kinds)]
    assert list(dict.fromkeys(wording for wording, *_ in values)) == wordings
    answers = [value for _, name, value in values if name == "response"]
    assert answers == ["a", None, "f", None, "f", '{"who":"somebody"}']
    assert [value for _, name, value in values if name == "correct"] == ["true", "false"]
    times = [float(value) for _, name, value in values if name == "rt" and value is not None]
    assert all(100 < one < 60_000 for one in times[1:3])
    # Each lies within its trial. Page and device tell the time to some milliseconds of each other.
    for (marked,), (began, lasted) in zip(markers, (keys[2], keys[4]), strict=True):
        assert -50 <= marked - began <= lasted
