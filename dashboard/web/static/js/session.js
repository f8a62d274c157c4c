// The bar of the open session: condition buttons, notes, end. Markers are stamped with the time of the press.

import { MarkerQueue } from "./markers.js";
import { _, memberOf, ngettext, said } from "./messages.js";
import { deviceNow, localTime, takesKeys } from "./page.js";
import { showRecording } from "./standing.js";

// listed here: the conditions that are offered first
const USUAL = ["neutral", "happiness", "anger"];
const ANSWER_MS = 4000;
const AWAY = _("The dashboard cannot be reached.");
const KEYS = { b: "baseline", i: "declared", n: "note", e: "session-end" }; // and 1 to 9 for the conditions
const byId = (id) => document.getElementById(id);

/** Say what a marker is. */
const markerText = (kind, label) => memberOf("markers", kind, { label: said(label) }).says;

/** Say that a session has ended. */
function hasEnded({ id, name, participant }) {
  return _("{session} of {participant} has ended.", { session: name || _("Session {id}", { id }), participant });
}

/** Say how the standing session of a person stands. */
function standingText({ participant: code, start, end, session }) {
  const until = localTime(end, "short");
  if (session !== null) return _("Standing session of {code} until {until}", { code, until });
  if (start > deviceNow()) return _("The next standing session of {code} begins by itself: {when}", { code, when: localTime(start) });
  return _("The standing session of {code} waits until no other session is open and the camera is on; its hours end at {until}", { code, until });
}

/** Write a length of time as 4:05 or 1:04:05. */
function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}

/** Send or fetch; throws where no answer comes in time. */
async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(ANSWER_MS) });
  if (answer.status === 401) window.location.reload();
  return { ok: answer.ok, status: answer.status, content: await answer.json() };
}

/** Show the open session (the SessionState of the API) and bind its controls; returns {refresh, sendWaiting, showRecording}. */
export function bindSession(initial) {
  let state = initial;

  const say = (text, isBad = false) => {
    byId("session-said").textContent = text;
    byId("session-said").classList.toggle("is-bad", isBad);
  };

  const queue = new MarkerQueue(ask, {
    onChange: () => show(),
    onAnswer: (content, { kind, label }) => {
      state = content;
      show();
      say(markerText(kind, label));
    },
    onRefused: (text, { kind, label, at }) => say(`${_("Not set: {what}, {time}.", { what: markerText(kind, label), time: localTime(at, "time") })} ${text}`, true),
  });

  function mark(kind, label) {
    say("");
    queue.add({ kind, label, at: Math.round(deviceNow()), session: state.session.id });
  }

  /** The condition that goes on, with what waits to be sent. */
  function condition() {
    const last = queue.waiting.findLast(({ kind }) => kind.startsWith("stimulus_"));
    if (last === undefined) return state.condition;
    return last.kind === "stimulus_start" ? last.label : null;
  }

  /** Write how long session and condition have lasted. */
  function showTimers() {
    if (state.session === null) return;
    const begun = [...state.markers, ...queue.waiting].findLast(({ kind }) => kind === "stimulus_start");
    byId("session-timer").textContent = clock(deviceNow() - state.session.start);
    byId("condition-timer").textContent = condition() && begun ? clock(deviceNow() - begun.at) : "–";
  }

  function toggle(label) {
    mark(condition() === label ? "stimulus_end" : "stimulus_start", label);
  }

  async function end() {
    const { id, name, participant } = state.session;
    byId("session-end").disabled = true;
    try {
      const { ok, content } = await ask("/api/v1/session/end", { session: id });
      if (!ok) throw new Error(content.detail);
      state = content;
      show();
      showEnded(id, hasEnded({ id, name, participant }));
    } catch (error) {
      say(`${_("The session was not ended.")} ${error instanceof TypeError || error.name === "TimeoutError" ? AWAY : error.message}`, true);
    } finally {
      byId("session-end").disabled = false;
    }
  }

  function showEnded(id, text) {
    const link = document.createElement("a");
    link.href = `/study/sessions/${id}`;
    link.textContent = _("Show the session report");
    byId("session-ended").replaceChildren(`${text} `, link);
    byId("session-ended").hidden = false;
  }

  function showWaiting() {
    byId("session-waiting").replaceChildren(
      ...queue.waiting.map(({ kind, label, at }) => {
        const line = document.createElement("li");
        line.textContent = _("Waiting for the dashboard: {what}, {time}", { what: kind === "note" ? _("note “{text}”", { text: label }) : markerText(kind, label), time: localTime(at, "time") });
        return line;
      }),
    );
  }

  /** Say what begins, or began, by itself: until when, or at what time next. */
  function showStanding() {
    const { standing } = state;
    byId("session-standing").hidden = !standing;
    if (standing) byId("session-standing").textContent = standingText(standing);
  }

  function show() {
    showWaiting();
    showStanding();
    byId("session-bar").hidden = state.session === null && queue.waiting.length === 0;
    byId("before-session").hidden = !byId("session-bar").hidden;
    if (state.session === null) return;
    byId("session-ended").hidden = true;
    const count = state.markers.length;
    const markers = ngettext("{n} marker", "{n} markers", count);
    const { name, id, participant, purpose, start, simulated } = state.session;
    byId("session-name").textContent = name || _("Session {id}", { id });
    byId("session-code").textContent = participant;
    byId("session-condition").textContent = said(condition() ?? "no condition");
    byId("condition-end").hidden = condition() === null;
    byId("session-markers").href = `/study/sessions/${id}/markers`;
    showTimers();
    byId("session-facts").textContent = [said(purpose), ...(simulated ? [_("simulated")] : []), _("since {raised_ms}", { raised_ms: localTime(start, "time") }), markers, ...(state.own_neutral === null ? [] : [memberOf("ownNeutral", state.own_neutral).says].filter(Boolean))].join(", ");
    const used = state.markers.filter((marker) => marker.kind === "stimulus_start").map((marker) => marker.label);
    const labels = [...new Set([...USUAL, ...used])];
    const focused = document.activeElement?.dataset?.condition;
    byId("conditions").replaceChildren(...labels.map((label, index) => conditionButton(label, index + 1)));
    if (focused !== undefined) byId("conditions").querySelector(`[data-condition="${CSS.escape(focused)}"]`)?.focus();
  }

  function conditionButton(label, number) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button-quiet";
    button.dataset.condition = label;
    button.textContent = said(label);
    if (number <= 9) {
      button.title = _("Key {number}", { number });
      button.setAttribute("aria-keyshortcuts", String(number));
    }
    button.setAttribute("aria-pressed", String(condition() === label));
    button.addEventListener("click", (event) => event.detail > 1 || toggle(label)); // not the second of a double click
    return button;
  }

  const bindText = (formId, inputId, use) => {
    byId(formId).addEventListener("submit", (event) => {
      event.preventDefault();
      const input = byId(inputId);
      const text = input.value.trim();
      if (text) use(text);
      input.value = "";
    });
  };

  /** Press what a key stands for: the button of a condition or of the bar, or begin a note. */
  function press(key) {
    if (/^[1-9]$/.test(key)) {
      const button = byId("conditions").children[Number(key) - 1];
      if (button) toggle(button.dataset.condition);
      return;
    }
    const control = byId(KEYS[key]);
    if (!control?.checkVisibility()) return; // not for those who may only look
    if (key === "n") control.focus();
    else control.click();
  }

  // Keys count wherever nothing is being typed.
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (!/^[1-9bne]$/.test(key) || event.repeat || event.altKey || event.ctrlKey || event.metaKey) return;
    if (state.session === null || takesKeys(event.target)) return;
    event.preventDefault(); // the note does not begin with its key
    press(key);
  });
  for (const [key, id] of Object.entries(KEYS)) {
    byId(id).title = _("Key {number}", { number: key.toUpperCase() });
    byId(id).setAttribute("aria-keyshortcuts", key);
  }
  byId("note").addEventListener("keydown", (event) => event.key === "Escape" && byId("note").blur());
  bindText("condition-form", "condition-other", (label) => mark("stimulus_start", label));
  bindText("note-form", "note", (label) => mark("note", label));
  byId("condition-end").addEventListener("click", () => condition() !== null && mark("stimulus_end", condition()));
  byId("baseline").addEventListener("click", () => mark("baseline", ""));
  byId("declared").addEventListener("click", () => mark("declared", ""));
  byId("session-end").addEventListener("click", () => {
    if (window.confirm(_("End the session now?"))) end();
  });
  show();
  setInterval(() => document.hidden || showTimers(), 500);

  async function refresh() {
    const answer = await ask("/api/v1/session").catch(() => null); // while the dashboard is away nothing changes here
    if (!answer?.ok || JSON.stringify(answer.content) === JSON.stringify(state)) return;
    const before = state.session;
    state = answer.content;
    show();
    if (before !== null && state.session === null) showEnded(before.id, hasEnded(before));
  }

  return {
    refresh,
    number: () => state.session?.id ?? null,
    sendWaiting: () => queue.send(),
    showRecording: (reason) => showRecording(byId("session-recording"), reason),
  };
}
