// What every page does: times in the reader's zone, confirmation before what cannot be undone.

import { LOCALE, _ } from "./messages.js";

const SHORT = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const FORMS = { date: { dateStyle: "medium" }, short: SHORT, time: { ...SHORT, second: "2-digit" } };
const formats = {}; // each made when it is needed: a format takes milliseconds on a slow phone

// The device's clock, which all times are of: the browser's may be wrong. The page brings it, the live feed keeps it.
const answered = performance.getEntriesByType("navigation")[0]?.responseStart ?? 0;
// A page that the browser keeps brings none: there only the browser's own is known.
let ahead = Number(document.documentElement.dataset.now ?? performance.timeOrigin + answered) - answered;
const HEARD_LATE_MS = 900; // the second word of an earlier time, one being said each second
let behind = null; // since when it says an earlier time, and the latest of them

/** The device's clock now, milliseconds since 1970 (UTC). */
export function deviceNow() {
  return performance.now() + ahead;
}

/**
 * Take over what the device's clock says, as it is heard. A page that was drawing hears it late, and takes it to be behind;
 * so an earlier time counts once it was said for a while.
 */
export function setDeviceClock(at) {
  const present = performance.now();
  const heard = at - present;
  if (heard >= ahead) {
    ahead = heard;
    behind = null;
    return;
  }
  behind = { since: behind?.since ?? present, ahead: Math.max(behind?.ahead ?? heard, heard) };
  if (present - behind.since < HEARD_LATE_MS) return;
  ahead = behind.ahead;
  behind = null;
}

/** Write a length of time: 4 s, 12 min, 3 h, 2 d. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

/** Write how long ago something was. */
export function ago(ms) {
  return ms < 2000 ? _("now") : _("{span} ago", { span: span(ms) });
}

/** Write milliseconds in the reader's time zone as the server writes those of UTC; form is datetime, date, time or short. */
export function localTime(ms, form = "datetime") {
  if (form === "datetime") return `${localTime(ms, "date")}, ${localTime(ms, "short")}`;
  formats[form] ??= new Intl.DateTimeFormat(LOCALE, FORMS[form]);
  return formats[form].format(new Date(ms));
}

/** Show a text in which commands stand between backticks, and times as {milliseconds}. */
export function showWithCode(element, text) {
  if (element.dataset.shown === text) return;
  element.dataset.shown = text;
  const parts = text.replace(/\{(\d{12,})\}/g, (_, ms) => localTime(Number(ms))).split("`").map((part, place) => {
    if (place % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  });
  element.replaceChildren(...parts);
}

/** Turn every <time data-local> below root into the reader's time zone. */
export function localiseTimes(root) {
  for (const element of root.querySelectorAll("time[data-local]")) {
    element.textContent = localTime(Date.parse(element.dateTime), element.dataset.local);
    element.title = element.dateTime;
  }
  // An option holds text alone.
  for (const option of root.querySelectorAll("option[data-at]")) {
    option.textContent = `${option.dataset.name}, ${localTime(Number(option.dataset.at))}`;
  }
}

/** What an <input type="datetime-local"> holds for an instant. */
function toInputValue(ms) {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

/** Show the UTC times of fields in the reader's time zone, and send what is typed as UTC milliseconds. */
function bindMoments(root) {
  for (const input of root.querySelectorAll("input[type=datetime-local]")) {
    // Not its value: a browser that comes back to a page has restored the local time.
    if (input.defaultValue) input.value = toInputValue(Date.parse(`${input.defaultValue}Z`));
    input.form.addEventListener("formdata", ({ formData }) => {
      if (input.value) formData.set(input.name, new Date(input.value).getTime());
    });
  }
}

function bindConfirmations(root) {
  for (const form of root.querySelectorAll("form[data-confirm]")) {
    form.addEventListener("submit", (event) => {
      if (!window.confirm(form.dataset.confirm)) event.preventDefault();
    });
  }
}

/** On a phone: the list under More folds when somebody taps beside it or presses Escape. */
function bindMore() {
  const more = document.getElementById("more");
  document.addEventListener("click", (event) => {
    if (more?.open && !more.contains(event.target)) more.open = false;
  });
  more?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !more.open) return;
    more.open = false;
    more.querySelector("summary").focus();
  });
}

/** On a phone the second row of links is one line that moves sideways: the link to this page is brought into sight. */
function bindSecondRow() {
  const here = document.querySelector(".second-row [aria-current]");
  const row = here?.closest("ul");
  if (row) row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
}

/** Tell whether keys are typed into it; a sheet that was just closed keeps the focus until the page is drawn again. */
export function takesKeys(element) {
  return element.closest("input, select, textarea, dialog[open]") !== null;
}

/** "?" opens the sheet of keys, wherever nothing is being typed; its script is fetched then. */
function bindKeys() {
  const open = () => import("./keys.js").then(({ showKeys }) => showKeys());
  document.querySelector("[data-keys]")?.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("[data-keys]") && !takesKeys(event.target)) open();
  });
}

bindMore();
bindSecondRow();
bindKeys();
localiseTimes(document);
bindMoments(document);
bindConfirmations(document);
