// The operator's page: what the participant sees, what comes next, and the keys that pause, skip and end it.

import { followFeed } from "./feed.js";
import { _, figure, memberOf, said as named } from "./messages.js";
import { ago, deviceNow, localTime, span } from "./page.js";
import { REGISTERS } from "./registers.js";

const TICK_MS = 200;
const byId = (id) => document.getElementById(id);
const clock = (ms) => `${Math.floor(Math.ceil(ms / 1000) / 60)}:${String(Math.ceil(ms / 1000) % 60).padStart(2, "0")}`;
const HEART_SILENT_MS = 10000; // a source that speaks all the time is silent after this
const OLD_MS = 600000;
// listed here: the readings that this page has a place for
const heard = { heart_rate: null, systolic: null, diastolic: null };
const JUMP_MS = 60000;
let isOnline = false;
let state = JSON.parse(byId("protocol-start").textContent);
let since = performance.now();

const isOver = () => state.state === "finished" || state.state === "ended";
const setText = (id, text) => {
  if (byId(id).textContent !== text) byId(id).textContent = text;
};

function setBadge(id, text, style) {
  setText(id, text);
  byId(id).className = `badge badge-dot ${style}`;
}

function remaining() {
  if (state.remaining_ms === null) return null;
  return Math.max(0, state.remaining_ms - (state.state === "running" ? performance.now() - since : 0));
}

function showTime() {
  const left = remaining();
  const screen = isOver() ? undefined : state.screens[state.step];
  setText("step-time", screen === undefined ? "" : left === null ? "" : clock(left));
  const share = screen === undefined ? 1 : left === null ? 0 : 1 - left / (screen.seconds * 1000);
  byId("step-bar").style.width = `${share * 100}%`;
}

function goText() {
  if (state.state === "running") return _("Pause");
  return state.begun ? _("Resume") : _("Start");
}

function show() {
  const screen = isOver() ? undefined : state.screens[state.step];
  setText("step-title", screen?.title ?? memberOf("runs", state.state).says);
  setText("step-count", screen ? _("step {step} of {all}", { step: state.step + 1, all: state.screens.length }) : "");
  setText("step-next", isOver() ? _("the session has ended") : (state.screens[state.step + 1]?.title ?? _("the end")));
  setText("reason", isOver() && state.reason ? _("Ended: {reason}", { reason: state.reason }) : state.reason);
  setText("go-text", goText());
  setText("answers", String(state.answers));
  setText("condition", state.state === "running" && screen?.condition ? named(screen.condition) : _("none"));
  const run = memberOf("runs", state.state);
  setBadge("run-state", run.says, run.badge);
  if (state.participant_ready) setBadge("participant-state", _("ready"), "badge-good");
  else setBadge("participant-state", state.participant_present ? _("open, not ready yet") : _("not open"), "badge-warn");
  byId("controls").hidden = isOver();
  byId("participant-link").hidden = isOver();
  byId("after").hidden = !isOver();
  byId("problem").hidden = state.problem === "";
  setText("problem", state.problem && _("The protocol cannot be saved: {problem}", { problem: state.problem }));
  byId("reports").hidden = state.reports.length === 0;
  setText("reports", state.reports.join("\n"));
  for (const [number, line] of [...byId("steps").children].entries()) {
    line.classList.toggle("is-done", number < state.step);
    if (number === state.step && !isOver()) line.setAttribute("aria-current", "step");
    else line.removeAttribute("aria-current");
  }
  showTime();
}

function take(found) {
  if (found === null) return;
  const ended = isOver();
  state = found;
  since = performance.now();
  show();
  if (!ended && isOver()) {
    byId("end-dialog").close();
    byId("to-session").focus();
  }
}

let presses = Promise.resolve();

/** Send presses one after the other: of two requests at once the second may arrive first. */
function press(what) {
  const next = () => send(typeof what === "function" ? what() : what);
  presses = presses.then(next, next); // one that fails does not stop those after it
}

async function send(what) {
  if (isOver()) return;
  const answer = await fetch(`/api/v1/protocol/${what}`, { method: "POST" }).catch(() => null);
  if (answer?.status === 401) window.location.reload();
  else if (answer?.ok) take(await answer.json());
  else setText("reason", answer === null ? _("The dashboard cannot be reached.") : (await answer.json()).detail);
}

const toggle = () => press(() => (state.state === "running" ? "pause" : "go"));
const askToEnd = () => {
  if (!isOver() && !byId("end-dialog").open) byId("end-dialog").showModal();
};

byId("go").addEventListener("click", toggle);
byId("repeat").addEventListener("click", () => press("repeat"));
byId("skip").addEventListener("click", () => press("skip"));
byId("end").addEventListener("click", askToEnd);
byId("end-dialog").addEventListener("close", () => {
  if (byId("end-dialog").returnValue === "end") press("end");
  byId("end-dialog").returnValue = "";
});

const KEYS = { " ": toggle, ArrowRight: () => press("skip"), ArrowLeft: () => press("repeat"), Escape: askToEnd };
document.addEventListener("keydown", (event) => {
  const key = KEYS[event.key];
  if (key === undefined || event.repeat || event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (event.key === " " && event.target.closest("button")) return; // there it presses the button
  event.preventDefault();
  key();
});

const source = new EventSource("/api/v1/protocol/events");
source.addEventListener("protocol", (event) => take(JSON.parse(event.data)));
window.addEventListener("pagehide", () => source.close());
byId("participant-address").textContent = new URL(state.participant_path, window.location.href).href;

function onVital(message) {
  if (!(message.kind in heard)) return;
  const late = (heard[message.kind]?.at ?? 0) - message.at; // after a jump of the clock, nothing is late
  if (late > 0 && late <= JUMP_MS) return; // an estimate speaks of ten seconds ago: it does not take the place of a measurement
  heard[message.kind] = message;
  showVitals();
}

/** A value with how it was made and its age; who should speak all the time and does not is called silent. */
function withAge(text, { at, flags }, silentMs) {
  const made = ["simulated", "estimated"].map((flag) => (flags.includes(flag) ? `, ${named(flag)}` : "")).join("");
  const age = deviceNow() - at;
  if (!isOnline) return `– (${_("last {value}", { value: text + made })}, ${ago(age)})`;
  if (age > silentMs) return `– (${_("silent for {span}", { span: span(age) })}, ${_("last {value}", { value: text + made })})`;
  return `${text}${made} · ${age > OLD_MS ? localTime(at) : ago(age)}`;
}

/** The values of readings of one kind, or of kinds that are shown as one, with their unit. */
function written(...readings) {
  const { unit, digits } = REGISTERS.vitals[readings[0].kind];
  return `${readings.map(({ value }) => figure(value, digits)).join("/")} ${_(unit)}`;
}

function showVitals() {
  const { heart_rate: heart, systolic, diastolic } = heard;
  if (heart) setText("heart", withAge(written(heart), heart, HEART_SILENT_MS));
  if (!systolic || !diastolic) return;
  const older = systolic.at < diastolic.at ? systolic : diastolic;
  setText("pressure", withAge(written(systolic, diastolic), older, Infinity));
}

function onExpression(message) {
  const face = message.faces.find((candidate) => candidate.primary);
  setText("expression", (face ? named(face.emotion ?? "uncertain") : _("no face")) + (message.simulated ? `, ${_("simulated")}` : ""));
}

function onState(name) {
  isOnline = name === "online";
  if (!isOnline) setText("expression", "–");
  showVitals();
}

followFeed({ vital: onVital, expression: onExpression }, onState);
setInterval(showTime, TICK_MS);
setInterval(() => document.hidden || showVitals(), 1000);
show();
