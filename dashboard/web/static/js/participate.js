// The participant's page: shows what the dashboard says, and nothing else. No number of any measurement comes here.

import { REGISTERS } from "./registers.js";

const stage = document.getElementById("stage");
const address = stage.dataset.address;
const byId = (id) => document.getElementById(id);
const SCALES = JSON.parse(stage.dataset.scales);
let armed = false; // the participant has pressed or touched something: they are there, and sound may be played
const SYNC_AT_FIRST = 8;
const SYNC_LATER = 2;
const DRIFT = 1e-4; // two clocks part by less than this share of the time that passes
const FRAMES_MEASURED = 12;
let present = null;
let sent = Promise.resolve(); // reports of frames arrive one after the other
let told = Promise.resolve(); // so does what an experiment says
const unsent = new Set(); // names of its values that the appliance did not store
const noted = { lost: new Set(), trouble: new Set() }; // the same, and what its frame refused, in a preview
let clock = { offset: 0, within: Infinity, at: 0 }; // the appliance's clock, less performance.now()
let frameMs = null; // a promise, once frames are measured

const { preview } = stage.dataset; // a screen that a researcher looks at: nothing is sent
async function post(path, body) {
  if (preview === undefined) return fetch(`${address}/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });
  if (path === "failed") byId("preview-problem").hidden = false;
  return { ok: false };
}

const DECLARED_MS = 2000;

function reveal(name) {
  for (const screen of stage.querySelectorAll(".screen")) screen.hidden = screen.id !== `screen-${name}`;
  if (byId("declare")) byId("declare").hidden = !("calm" in byId(`screen-${name}`).dataset);
}

/** Say that the face which leads now is the participant's. */
async function declare() {
  const button = byId("declare");
  if (button === null || button.disabled) return;
  button.disabled = true;
  const answer = await post("declare").catch(() => null);
  button.classList.toggle("is-done", answer?.ok === true);
  setTimeout(() => {
    button.disabled = false;
    button.classList.remove("is-done");
  }, DECLARED_MS);
}

const clockWithin = (now) => clock.within + (now - clock.at) * DRIFT;

/** Ask for the appliance's clock; the shortest way there and back tells it best. */
async function readClock(times) {
  for (let count = 0; count < times; count += 1) {
    const asked = performance.now();
    const answer = await post("clock").catch(() => null);
    const heard = performance.now();
    if (!answer?.ok) return;
    const { boot_ms: at } = await answer.json();
    const within = (heard - asked) / 2;
    if (within <= clockWithin(heard)) clock = { offset: at - asked - within, within, at: heard };
  }
}

/** Return when the first frame of what was changed just now is on the screen. */
function firstFrame(video) {
  if (video?.requestVideoFrameCallback) return new Promise((done) => video.requestVideoFrameCallback((now, frame) => done(frame.expectedDisplayTime)));
  // The frame after the next begins when the next one is shown.
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}

/** Return the time between two frames: the middle one of some. */
function measureFrames() {
  const times = [];
  return new Promise((done) => {
    requestAnimationFrame(function note(at) {
      times.push(at);
      if (times.length <= FRAMES_MEASURED) requestAnimationFrame(note);
      else done(times.slice(1).map((time, place) => time - times[place]).sort((a, b) => a - b)[FRAMES_MEASURED / 2]);
    });
  });
}

/** Tell the appliance when the present screen was shown; `turn` is null for what is no screen. */
async function reportFrame(turn, video) {
  const at = await firstFrame(video);
  if (clock.within === Infinity) return;
  const body = { turn, at_ms: at + clock.offset, page_ms: at, within_ms: clockWithin(performance.now()) };
  const length = frameMs;
  sent = sent.then(async () => post("frame", { ...body, frame_ms: await length })).catch(() => {});
  await sent;
  frameMs = measureFrames();
  await readClock(SYNC_LATER);
}

const LONGEST_VALUE = 2000;
const MOST_VALUES = 100;
const NAMED_ELSEWHERE = new Set(["trial_type", "trial_index", "plugin_version", "extension_type", "extension_version"]);

/** Replace halves of characters, such as a cut leaves behind: the appliance takes none. */
const whole = (text) => text.replace(/\p{Surrogate}/gu, "\ufffd");

/** Return the values of a trial by names that a column may have, each by its own; add those that are not whole to `lost`. */
function valuesOf(data, lost) {
  const kept = new Map();
  for (const [name, value] of Object.entries(data)) {
    if (NAMED_ELSEWHERE.has(name)) continue;
    const isText = typeof value === "string" || value === null;
    if (!isText || kept.size === MOST_VALUES || (value ?? "").length > LONGEST_VALUE) lost.add(name);
    if (!isText || kept.size === MOST_VALUES) continue;
    const column = name.replace(/\W/g, "_").replace(/^(?=\d)/, "_").slice(0, 60) || "_";
    let free = column;
    for (let n = 2; kept.has(free); n += 1) free = `${column.slice(0, 56)}_${n}`;
    kept.set(free, value && whole(value.length > LONGEST_VALUE ? `${value.slice(0, LONGEST_VALUE - 1)}…` : value));
  }
  return Object.fromEntries(kept);
}

/** Show an experiment in a frame that shares nothing with this page; one that stands there goes on. */
function runExperiment(shown) {
  reveal("experiment");
  if (byId("experiment")?.dataset.turn === String(shown.turn)) return;
  byId("experiment")?.remove();
  const frame = document.createElement("iframe");
  frame.id = "experiment";
  frame.dataset.turn = shown.turn;
  frame.setAttribute("sandbox", "allow-scripts allow-forms"); // a form is for the script beside it: its policy sends none
  frame.allow = "autoplay";
  frame.referrerPolicy = "no-referrer"; // the address of this page is its key
  frame.title = document.title;
  frame.addEventListener("load", () => frame.focus());
  frame.src = shown.page;
  byId("screen-experiment").prepend(frame);
}

/** Send a message of an experiment; what the appliance does not store is named with the next one. */
async function deliver(body) {
  const lost = [...new Set([...body.lost, ...unsent])].slice(0, MOST_VALUES);
  const answer = await post("experiment", { ...body, lost }).catch(() => null);
  if (answer?.ok) {
    unsent.clear();
    return;
  }
  for (const name of [...lost, ...Object.keys(body.data ?? {})]) unsent.add(name);
  if (body.marker) unsent.add("marker");
  console.error(answer === null ? "not sent" : await answer.text());
}

/** Show in a preview, where nothing is stored, what a session would report, and that the experiment has ended. */
function previewExperiment(body, finished) {
  for (const text of body.lost) noted.lost.add(text);
  if (body.trouble) noted.trouble.add(body.trouble);
  for (const [name, texts] of Object.entries(noted)) {
    const place = byId(`preview-${name}`);
    place.hidden = texts.size === 0;
    place.lastElementChild.textContent = [...texts].join(", ");
  }
  if (!finished) return;
  byId("experiment").remove();
  byId("preview-ended").hidden = false;
  byId("preview-next")?.focus();
}

/** Send what an experiment says, one after the other. */
function hearExperiment(event) {
  const frame = byId("experiment");
  const said = event.data?.affectEdge;
  if (!frame || event.source !== frame.contentWindow || present?.media !== "experiment" || typeof said !== "object" || said === null) return;
  const { step } = present;
  const at = Number(said.at) - performance.timeOrigin + clock.offset;
  const body = { step, at_ms: clock.within === Infinity || !(at >= 0) ? null : at };
  const lost = new Set(Array.isArray(said.lost) ? said.lost : []);
  if (typeof said.marker === "string") {
    body.marker = whole(said.marker.slice(0, 80));
    if (body.marker.trim() === "" || body.marker !== whole(said.marker)) lost.add("marker");
  }
  if (typeof said.data === "object" && said.data !== null) {
    body.data = valuesOf(said.data, lost);
    body.trial = whole(`${said.data.trial_index ?? ""} ${said.data.trial_type ?? ""}`.trim().slice(0, 80));
    body.lasted_ms = Math.min(Math.max(0, Math.round(Number(said.lasted) || 0)), 86_400_000);
  }
  body.lost = [...lost].slice(0, MOST_VALUES).map((name) => whole(String(name).slice(0, 60)));
  if (typeof said.trouble === "string") body.trouble = whole(said.trouble.slice(0, 200));
  if (preview !== undefined) previewExperiment(body, said.finished === true);
  else {
    if (body.marker || body.trouble || body.lost.length > 0 || Object.keys(body.data ?? {}).length > 0) told = told.then(() => deliver(body)).catch(console.error);
    if (said.finished === true) told = told.then(() => post("ended", { step })).catch(console.error);
  }
}

function silence() {
  for (const player of [byId("sound"), byId("video")]) {
    player.onended = null;
    player.onerror = null;
    player.pause();
  }
}

function speak(text) {
  byId("spoken").textContent = text;
}

function showText(text) {
  byId("text").textContent = text;
  reveal("text");
  speak(text);
}

async function play(player, shown) {
  const failed = () => post("failed", { step: shown.step });
  player.onerror = failed;
  player.onended = () => post("ended", { step: shown.step });
  const source = `${address}/media/${shown.step}`;
  if (!player.src.endsWith(source)) player.src = source;
  player.currentTime = shown.start_ms / 1000;
  try {
    await player.play();
  } catch (error) {
    if (preview !== undefined && error.name === "NotAllowedError") player.controls = true; // nothing was pressed here yet
    else if (error.name !== "AbortError") failed(); // aborted: something else is shown already
  }
}

async function showPicture(shown) {
  const picture = byId("picture");
  picture.onerror = () => post("failed", { step: shown.step });
  picture.src = `${address}/media/${shown.step}`;
  await picture.decode().catch(() => {}); // told by onerror
  if (present !== shown) return;
  reveal("picture");
  reportFrame(shown.turn);
}

function input(type, value) {
  const field = document.createElement("input");
  field.type = type;
  field.value = value;
  field.name = "asked";
  field.required = true;
  return field;
}

function labelled(...parts) {
  const label = document.createElement("label");
  label.append(...parts);
  return label;
}

function span(text, name = "") {
  const part = document.createElement("span");
  part.textContent = text;
  part.className = name;
  return part;
}

// listed here: how each kind of question is drawn
const ANSWERS = {
  likert: ({ options }) => {
    const labels = options.map((text, place) => {
      const field = input("radio", place + 1);
      if (text === "") field.ariaLabel = `${place + 1} / ${options.length}`;
      return labelled(field, span("", "dot"), span(text));
    });
    return { layout: "row-of-points", parts: labels, hint: "choose" };
  },
  choice: ({ options }) => {
    const labels = options.map((text) => {
      const label = labelled(input("radio", text), span(text));
      label.className = "feeling";
      return label;
    });
    return { layout: "list-of-answers", parts: labels, hint: "choose" };
  },
  slider: ({ low, high }) => {
    const field = input("range", 50);
    field.className = "is-untouched";
    field.setAttribute("aria-label", `${low} – ${high}`);
    const touch = () => {
      field.classList.remove("is-untouched");
      byId("question-send").disabled = false;
    };
    for (const name of ["input", "pointerdown", "keydown"]) field.addEventListener(name, (event) => event.key === "Tab" || event.key === "Enter" || touch());
    return { layout: "line-of-slider", parts: [field, span(low, "pole"), span(high, "pole pole-high")], hint: "slider", waits: true };
  },
  free_text: () => {
    const field = document.createElement("textarea");
    field.name = "asked";
    field.className = "words";
    field.maxLength = REGISTERS.questions.free_text.longest;
    field.setAttribute("aria-labelledby", "question-title");
    field.addEventListener("input", () => {
      byId("question-send").disabled = field.value.trim() === "";
    });
    return { layout: "", parts: [field], waits: true };
  },
};

function askOwn(question) {
  const hints = JSON.parse(byId("question-form").dataset.hints);
  const { layout, parts, hint, waits } = ANSWERS[question.kind](question);
  byId("question-title").textContent = question.ask;
  byId("asked").className = `asked ${layout}`;
  byId("asked").replaceChildren(...parts);
  byId("question-send").disabled = waits === true; // until something is answered
  byId("question-decline").hidden = question.required;
  byId("question-hint").textContent = hints[hint] ?? "";
  reveal("question");
  byId("question-title").focus();
}

function ask(scale) {
  const name = scale === "emotion" ? "felt" : "points";
  byId(`${name}-form`).reset();
  reveal(name);
  if (name === "points") {
    const { title, low, middle, high } = SCALES[scale];
    byId("points").dataset.scale = scale;
    byId("points-title").textContent = title;
    byId("pole-low").textContent = low;
    byId("pole-middle").textContent = middle;
    byId("pole-high").textContent = high;
  }
  byId(`${name}-title`).focus(); // on no choice yet: the one with the focus would be chosen more often
}

/** Show a screen; return a promise that is kept once its first frame is reported, except of a picture. The operator is told
 * of one that this page does not know, and goes on.
 */
async function show(shown) {
  try {
    await draw(shown);
  } catch (error) {
    console.error(error);
    await post("failed", { step: shown.step });
  }
}

async function draw(shown) {
  silence();
  if (shown.media !== "experiment") byId("experiment")?.remove();
  speak("");
  present = shown;
  // listed here: how each kind of screen is drawn
  switch (shown.screen) {
    case "hello":
      if (!armed) {
        reveal("hello");
        byId("ready").focus();
      } else post("ready"); // the connection was lost for a moment; the participant is still here
      break;
    case "break":
    case "end":
      reveal(shown.screen);
      speak(byId(`screen-${shown.screen}`).textContent);
      break;
    case "scale":
      ask(shown.scale);
      break;
    case "question":
      askOwn(shown.question);
      break;
    case "instruction":
      byId("instruction").textContent = shown.text;
      reveal("instruction");
      speak(shown.text);
      byId("go-on").focus();
      break;
    case "blank":
      byId("cross").textContent = shown.text;
      reveal("blank");
      break;
    default:
      if (shown.media === "picture") showPicture(shown);
      else if (shown.media === "experiment") runExperiment(shown);
      else if (shown.media !== null) {
        reveal(shown.media);
        play(byId(shown.media), shown);
      } else if (REGISTERS.screens[shown.screen]?.section === "text") showText(shown.text);
      else throw new TypeError(`unknown screen: ${shown.screen}`);
  }
  const reported = shown.media === "picture" ? null : reportFrame(shown.turn ?? null, shown.media === "video" ? byId("video") : null);
  if (shown.next_picture !== null && shown.next_picture !== undefined) new Image().src = `${address}/media/${shown.next_picture}`;
  await reported;
}

function arm() {
  if (armed) return;
  armed = true;
  document.documentElement.requestFullscreen?.().catch(() => {}); // where the browser allows it
  reveal("break");
  post("ready");
}

function choose(form, number) {
  const choice = form.querySelectorAll("input[type=radio]")[number];
  if (choice === undefined) return;
  choice.checked = true;
  choice.focus();
}

function answer(value) {
  if (!REGISTERS.screens[present?.screen]?.isAnswered) return;
  const { step } = present;
  present = null; // a second press of the key answers nothing twice
  post("answer", { step, value });
}

byId("ready").addEventListener("click", arm);
window.addEventListener("message", hearExperiment);
byId("go-on").addEventListener("click", () => answer(null));
byId("declare")?.addEventListener("click", declare);
for (const form of [byId("points-form"), byId("felt-form"), byId("question-form")]) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.querySelector("[type=submit]").disabled) return;
    const value = new FormData(form).values().next().value;
    answer(form.id === "points-form" || REGISTERS.questions[present?.question?.kind]?.numbers ? Number(value) : value);
  });
  form.querySelector("[data-decline]").addEventListener("click", () => answer(null));
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key.toLowerCase() === "i" && !event.repeat && !event.target.closest("textarea")) {
    declare();
    return;
  }
  if (present?.screen === "hello" && !armed && (event.key === " " || event.key === "Enter")) {
    event.preventDefault();
    arm();
    return;
  }
  if (event.target.closest("button, textarea")) return;
  if (present?.screen === "instruction" && (event.key === " " || event.key === "Enter")) {
    event.preventDefault();
    answer(null);
    return;
  }
  const form = stage.querySelector(".screen:not([hidden]) form");
  if (form === null) return;
  if (event.key === "Enter") {
    event.preventDefault();
    form.requestSubmit();
  } else if (/^[1-9]$/.test(event.key)) {
    choose(form, Number(event.key) - 1);
  } else if (event.key.startsWith("Arrow") && !["radio", "range"].includes(event.target.type)) {
    event.preventDefault();
    const slider = form.querySelector("input[type=range]");
    if (slider === null) choose(form, form.id === "points-form" ? 4 : 0); // from there the browser itself follows the arrows
    else {
      slider.focus();
      slider.dispatchEvent(new Event("input"));
    }
  }
});

if (preview !== undefined) {
  document.getElementById("preview-next")?.focus();
  show(JSON.parse(preview));
} else {
  frameMs = measureFrames();
  readClock(SYNC_AT_FIRST);
  follow();
}

function follow() {
  const source = new EventSource(`${address}/events${window.location.search}`);
  source.addEventListener("screen", (event) => {
    const shown = JSON.parse(event.data);
    if (shown.screen !== "end") {
      show(shown);
      return;
    }
    // This page counts as open until it has said how long the last screen was shown.
    source.onerror = () => source.close();
    show(shown).finally(() => source.close());
  });
  source.onerror = () => {
    silence();
    byId("experiment")?.remove();
    present = null;
    reveal("break");
  };
}
