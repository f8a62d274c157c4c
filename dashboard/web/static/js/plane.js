// The valence of the face across, and the heart rate relative to the session's rest up: the last minute as a trail.

import { _, figure, said } from "./messages.js";
import { deviceNow, localTime } from "./page.js";

const HEART = "heart_rate";
const TRAIL_MS = 60000;
const STEP_MS = 1000; // from one point of the trail to the next
const TOGETHER_MS = 3000; // points that are farther apart are not joined
const SILENT_MS = 10000; // a strap that says nothing for longer is not there
const SAY_MS = 5000;
const REACHES = [20, 40, 80]; // 1/min above and below rest; the smallest that holds the trail
const WIDTH = 320;
const HEIGHT = 240;
const FAINTEST = 0.15;
const SVG = "http://www.w3.org/2000/svg";

/** Say how far a heart rate lies from rest. */
function fromRest(difference) {
  const n = Math.round(Math.abs(difference));
  if (n === 0) return _("heart rate as at rest");
  return difference > 0 ? _("heart rate {n} /min above rest", { n }) : _("heart rate {n} /min below rest", { n });
}

export class Plane {
  /** card to show, the line that says why there is none, and the flags of readings that do not count. */
  constructor(card, none, unusable) {
    this.card = card;
    this.none = none;
    this.unusable = new Set(unusable);
    this.part = (name) => card.querySelector(name);
    this.heard = new Map(); // source → newest usable reading
    this.trail = []; // { at, valence, difference }
    this.rest = null;
    this.isOpen = false;
    this.said = -SAY_MS;
    setInterval(() => document.hidden || this.show(), STEP_MS);
  }

  /** Take a reading (a message of type vital). */
  hear({ kind, at, value, source, flags }) {
    if (kind === HEART && !flags?.some((flag) => this.unusable.has(flag))) this.heard.set(source, { at, value });
  }

  /** Whether a strap sends now. */
  isHeard() {
    return [...this.heard.values()].some(({ at }) => deviceNow() - at <= SILENT_MS);
  }

  /** Set the rest (of /api/v1/session/rest, or null) and whether a session is open. */
  setRest(rest, isOpen) {
    if (rest?.session !== this.rest?.session || rest?.start !== this.rest?.start) this.trail = [];
    this.rest = rest;
    this.isOpen = isOpen;
    this.show();
  }

  /** Take the valence of the participant's face; null while it is not read. */
  see(at, valence) {
    if (document.hidden || this.rest === null || valence === null) return;
    if (at - (this.trail.at(-1)?.at ?? 0) < STEP_MS) return;
    const heart = this.heart();
    if (heart !== null) this.trail.push({ at, valence, difference: heart.value - heart.rest });
  }

  /** The newest heart rate, and the rest of the same source; null without one of now. */
  heart() {
    for (const [source, rest] of Object.entries(this.rest.heart_rate)) {
      const newest = this.heard.get(source);
      if (newest && deviceNow() - newest.at <= SILENT_MS) return { value: newest.value, rest };
    }
    return null;
  }

  show() {
    const isShown = this.isOpen && this.rest !== null && this.heart() !== null;
    this.card.hidden = !isShown;
    this.none.hidden = !(this.isOpen && this.rest === null && this.isHeard());
    if (!isShown) return;
    const now = deviceNow();
    this.trail = this.trail.filter(({ at }) => now - at < TRAIL_MS);
    this.draw(now);
    if (performance.now() - this.said > SAY_MS) this.say(now);
  }

  draw(now) {
    const furthest = Math.max(0, ...this.trail.map(({ difference }) => Math.abs(difference)));
    const reach = REACHES.find((one) => furthest <= one) ?? REACHES.at(-1);
    const x = ({ valence }) => (WIDTH / 2) * (1 + valence);
    const y = ({ difference }) => (HEIGHT / 2) * (1 - Math.max(-1, Math.min(1, difference / reach)));
    const lines = this.trail.slice(1).flatMap((point, index) => {
      const before = this.trail[index];
      if (point.at - before.at > TOGETHER_MS) return [];
      const opacity = FAINTEST + (1 - FAINTEST) * (1 - (now - point.at) / TRAIL_MS);
      return [element("path", { class: "plane-trail", d: `M${x(before)} ${y(before)}L${x(point)} ${y(point)}`, opacity })];
    });
    const newest = this.newest(now);
    const dot = newest ? [element("circle", { class: "plane-now", cx: x(newest), cy: y(newest), r: 8 })] : [];
    this.part("svg").replaceChildren(
      element("path", { class: "plane-axis", d: `M${WIDTH / 2} 0V${HEIGHT}M0 ${HEIGHT / 2}H${WIDTH}` }),
      ...lines,
      ...dot,
    );
    this.part(".plane-top").textContent = _("+{n} /min", { n: reach });
    this.part(".plane-bottom").textContent = `−${reach} /min`;
  }

  /** The newest point, unless the face was not read for some seconds. */
  newest(now) {
    const last = this.trail.at(-1);
    return last && now - last.at <= TOGETHER_MS ? last : null;
  }

  say(now) {
    this.said = performance.now();
    const newest = this.newest(now);
    const valence = newest && figure(newest.valence, 2);
    this.part("#plane-text").textContent = newest ? _("Valence {valence} (derived), {heart}. The trail is the last minute.", { valence, heart: fromRest(newest.difference) }) : _("The face is not read.");
    const label = said(this.rest.label || "baseline");
    const rest = figure(this.heart().rest, 0);
    this.part("#plane-rest").textContent = _("Up: heart rate minus rest ({rest} /min, {label} at {time}).", { rest, label, time: localTime(this.rest.start, "time") });
  }
}

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
