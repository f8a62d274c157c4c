// What to look at before a session starts: camera, face and light, strap, cuff, clock, disk. Only while none is open.
// One line says whether all is well; the list opens by itself when something has been wrong for a while.

import { _, figure } from "./messages.js";
import { ago, deviceNow, span } from "./page.js";

const SILENT_MS = 10000;
const RECENT_MS = 600000;
const LITTLE_DISK = 1e9;
const LASTS_MS = 3000; // a face that looks away for a moment opens nothing
const GOOD = "badge-good";
const CARE = "badge-warn";
const BAD = "badge-bad";

function camera(standing) {
  const state = standing.message?.camera.state;
  if (standing.feed !== "online" || state === undefined) return [standing.reason || _("not known yet"), CARE];
  if (standing.off) return [_("switched off"), BAD];
  if (state === "closed") return [_("closed: opens with the session"), ""];
  return standing.reason ? [standing.reason, BAD] : [_("delivers pictures"), GOOD];
}

function strap(standing, latest) {
  if (standing.feed !== "online") return [_("not known"), CARE];
  const reading = latest.get("heart_rate");
  if (!reading || reading.flags?.includes("manual")) return [_("no strap connected"), ""];
  const age = deviceNow() - reading.at;
  if (age > SILENT_MS) return [_("silent for {span}", { span: span(age) }), CARE];
  if (reading.flags?.includes("contact_lost")) return [_("no contact with the skin"), CARE];
  return [_("connected, {value} bpm", { value: Math.round(reading.value) }), GOOD];
}

function cuff(latest) {
  const reading = latest.get("systolic");
  if (!reading) return [_("no reading yet"), ""];
  const age = deviceNow() - reading.at;
  return [_("last reading {ago}", { ago: ago(age) }), age < RECENT_MS ? GOOD : ""];
}

function clock(standing) {
  const isSet = standing.feed === "online" ? standing.message?.clock_synchronised : undefined;
  if (isSet === undefined) return [_("not known yet"), CARE];
  return isSet ? [_("set by the network"), GOOD] : [_("not set by the network: times may be wrong"), CARE];
}

function disk(health) {
  const free = health?.disk?.free_bytes;
  if (free === undefined) return [_("not known yet"), ""];
  const text = free >= 1e9 ? _("{size} free", { size: `${figure(free / 1e9, 1)} GB` }) : _("{size} free", { size: `${Math.round(free / 1e6)} MB` });
  return [text, free < LITTLE_DISK ? BAD : GOOD];
}

let isWell = true; // as it is now
let changed = -LASTS_MS; // when that changed
let isFolded = true; // as the page left it last

/** Say in one line whether all is well, and fold or unfold the list once that lasts. */
function showSum(fold, badge, lines) {
  const names = lines.filter(([, [, style]]) => style === CARE || style === BAD).map(([name]) => name);
  const text = names.length ? _("look at: {names}", { names: names.join(", ") }) : _("all is well");
  if (badge.textContent !== text) {
    badge.textContent = text;
    badge.className = `badge badge-dot badge-line ${names.length ? CARE : GOOD}`;
  }
  if (isWell !== (names.length === 0)) {
    isWell = !isWell;
    changed = performance.now();
  }
  if (isFolded === isWell || performance.now() - changed < LASTS_MS) return;
  isFolded = isWell;
  fold.open = !isWell;
}

/** Show the list in {list, fold, badge}; face is [words, isGood] of the newest picture, or null where there is none of now. */
export function showChecklist({ list, fold, badge }, { standing, face, latest, health }) {
  const seen = face === null ? [_("no picture now"), ""] : [face[0], face[1] ? GOOD : CARE];
  const lines = [
    [_("Camera"), camera(standing)],
    [_("Face and light"), seen],
    [_("Strap"), strap(standing, latest)],
    [_("Cuff"), cuff(latest)],
    [_("Clock"), clock(standing)],
    [_("Disk"), disk(standing.feed === "online" ? health : null)],
  ];
  showSum(fold, badge, lines);
  const text = JSON.stringify(lines);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(
    ...lines.map(([name, [words, style]]) => {
      const line = document.createElement("li");
      const title = document.createElement("span");
      title.textContent = name;
      const state = document.createElement("span");
      state.className = `badge badge-dot badge-line ${style}`;
      state.textContent = words;
      line.append(title, state);
      return line;
    }),
  );
}
