// What to look at before a session starts: camera, face and light, strap, cuff, clock, disk. Only while none is open.

import { ago, deviceNow, span } from "./page.js";

const SILENT_MS = 10000;
const RECENT_MS = 600000;
const LITTLE_DISK = 1e9;
const GOOD = "badge-good";
const CARE = "badge-warn";
const BAD = "badge-bad";

function camera(standing) {
  const state = standing.message?.camera.state;
  if (standing.feed !== "online" || state === undefined) return [standing.reason || "not known yet", CARE];
  if (state === "closed") return ["closed: opens with the session", ""];
  return standing.reason ? [standing.reason, BAD] : ["gives pictures", GOOD];
}

function strap(standing, latest) {
  if (standing.feed !== "online") return ["not known", CARE];
  const reading = latest.get("heart_rate");
  if (!reading || reading.flags?.includes("manual")) return ["no strap speaks", ""];
  const age = deviceNow() - reading.at;
  if (age > SILENT_MS) return [`silent for ${span(age)}`, CARE];
  if (reading.flags?.includes("contact_lost")) return ["no contact with the skin", CARE];
  return [`speaks, ${Math.round(reading.value)} /min`, GOOD];
}

function cuff(latest) {
  const reading = latest.get("systolic");
  if (!reading) return ["no reading yet", ""];
  const age = deviceNow() - reading.at;
  return [`last reading ${ago(age)}`, age < RECENT_MS ? GOOD : ""];
}

function clock(standing) {
  const isSet = standing.feed === "online" ? standing.message?.clock_synchronised : undefined;
  if (isSet === undefined) return ["not known yet", CARE];
  return isSet ? ["set by the network", GOOD] : ["not set by the network: times may be wrong", CARE];
}

function disk(health) {
  const free = health?.disk?.free_bytes;
  if (free === undefined) return ["not known yet", ""];
  const text = free >= 1e9 ? `${(free / 1e9).toFixed(1)} GB free` : `${Math.round(free / 1e6)} MB free`;
  return [text, free < LITTLE_DISK ? BAD : GOOD];
}

/** Show the list; face is [words, isGood] of the newest picture, or null where there is none of now. */
export function showChecklist(holder, { standing, face, latest, health }) {
  const seen = face === null ? ["no picture now", ""] : [face[0], face[1] ? GOOD : CARE];
  const lines = [
    ["Camera", camera(standing)],
    ["Face and light", seen],
    ["Strap", strap(standing, latest)],
    ["Cuff", cuff(latest)],
    ["Clock", clock(standing)],
    ["Disk", disk(standing.feed === "online" ? health : null)],
  ];
  const text = JSON.stringify(lines);
  if (holder.dataset.shown === text) return;
  holder.dataset.shown = text;
  holder.replaceChildren(
    ...lines.map(([name, [words, style]]) => {
      const line = document.createElement("li");
      const title = document.createElement("span");
      title.textContent = name;
      const badge = document.createElement("span");
      badge.className = `badge badge-dot badge-line ${style}`;
      badge.textContent = words;
      line.append(title, badge);
      return line;
    }),
  );
}
