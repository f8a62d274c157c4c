// The bar of the open session: condition buttons, notes, end. Everything is stamped by the device when it arrives.

import { localTime } from "./page.js";

const USUAL = ["neutral", "happiness", "anger"];
const byId = (id) => document.getElementById(id);

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  if (answer.status === 401) window.location.reload();
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

/** Show the open session (the SessionState of the API) and bind its controls; returns {refresh}. */
export function bindSession(initial) {
  let state = initial;

  const say = (text) => {
    byId("session-said").textContent = text;
  };

  const act = async (path, body, done) => {
    try {
      state = await ask(path, body);
      show();
      if (done) say(done);
    } catch (error) {
      say(error.message);
    }
  };

  const mark = (kind, label, done) => act("/api/v1/session/markers", { kind, label }, done);

  const toggle = (label) =>
    state.condition === label ? mark("stimulus_end", label, `${label} ended`) : mark("stimulus_start", label, `${label} started`);

  function show() {
    byId("session-bar").hidden = state.session === null;
    if (state.session === null) return;
    const count = state.markers.length;
    const markers = count === 1 ? "1 marker" : `${count} markers`;
    const { name, id, participant, purpose, start, simulated } = state.session;
    byId("session-name").textContent = name || `Session ${id}`;
    byId("session-facts").textContent =
      `${participant}, ${purpose}${simulated ? ", simulated" : ""}, since ${localTime(start, "time")}, ${markers}`;
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
    button.textContent = label;
    if (number <= 9) {
      button.title = `Key ${number}`;
      button.setAttribute("aria-keyshortcuts", String(number));
    }
    button.setAttribute("aria-pressed", String(state.condition === label));
    button.addEventListener("click", () => toggle(label));
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

  // The keys 1 to 9 press the condition buttons, in their order, wherever nothing is being typed.
  document.addEventListener("keydown", (event) => {
    if (!/^[1-9]$/.test(event.key) || event.repeat || event.altKey || event.ctrlKey || event.metaKey) return;
    if (state.session === null || event.target.closest("input, select, textarea, dialog")) return;
    const button = byId("conditions").children[Number(event.key) - 1];
    if (button) toggle(button.dataset.condition);
  });
  bindText("condition-form", "condition-other", (label) => mark("stimulus_start", label, `${label} started`));
  bindText("note-form", "note", (label) => mark("note", label, "Note added"));
  byId("baseline").addEventListener("click", () => mark("baseline", "", "Baseline begins: a neutral face for 20 s"));
  byId("session-end").addEventListener("click", () => {
    if (window.confirm("End the session now?")) act("/api/v1/session/end", {}, "The session has ended");
  });
  show();
  const refresh = async () => {
    const found = await ask("/api/v1/session").catch(() => state); // while the dashboard restarts nothing changes here
    if (JSON.stringify(found) === JSON.stringify(state)) return;
    state = found;
    show();
  };
  return { refresh };
}
