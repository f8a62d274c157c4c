// Tiles of the newest vital signs. Systolic and diastolic share one tile, as people read them.

import { localTime } from "./page.js";

const TILES = [
  { id: "heart", title: "Heart rate", unit: "/min", kinds: ["heart_rate"], digits: 0 },
  { id: "pressure", title: "Blood pressure", unit: "mmHg", kinds: ["systolic", "diastolic"], digits: 0 },
  { id: "mean", title: "Mean arterial pressure", unit: "mmHg", kinds: ["mean_arterial"], digits: 0 },
  { id: "rr", title: "RR interval", unit: "s", kinds: ["rr_interval"], digits: 2 },
];
const FLAGS = {
  out_of_range: "out of range",
  contact_lost: "no contact",
  manual: "entered by hand",
  estimated: "estimated",
  imported: "imported",
  body_movement: "movement during the measurement",
  cuff_loose: "cuff too loose",
  irregular_pulse: "irregular pulse",
  pulse_high: "pulse above the cuff’s range",
  pulse_low: "pulse below the cuff’s range",
  improper_position: "wrong arm position",
  clock_differs: "late, or a clock is wrong",
  replayed: "replayed",
};
const OLD_MS = 600000;

export class VitalTiles {
  constructor(holder, empty, recorded) {
    this.holder = holder;
    this.empty = empty;
    this.latest = new Map();
    for (const message of recorded) this.show(message);
    setInterval(() => this.draw(), 30000);
  }

  show(message) {
    const known = this.latest.get(message.kind);
    if (known && known.at > message.at) return;
    this.latest.set(message.kind, message);
    this.draw();
  }

  draw() {
    const tiles = TILES.filter((tile) => tile.kinds.some((kind) => this.latest.has(kind))).map((tile) => this.tile(tile));
    this.holder.replaceChildren(...tiles);
    this.empty.hidden = tiles.length > 0;
  }

  tile({ id, title, unit, kinds, digits }) {
    const readings = kinds.map((kind) => this.latest.get(kind));
    const known = readings.filter(Boolean);
    const newest = known.reduce((a, b) => (a.at >= b.at ? a : b));
    const flags = new Set(known.flatMap((reading) => reading.flags ?? []));
    const element = document.createElement("div");
    element.className = "tile";
    element.dataset.tile = id;
    const name = piece("div", "tile-name", title);
    if (flags.has("simulated")) name.append(piece("span", "badge badge-simulated", "simulated"));
    const value = piece("div", "tile-value", readings.map((reading) => reading?.value.toFixed(digits) ?? "–").join("/"));
    value.append(" ", piece("small", "", unit));
    const warnings = [...flags].map((flag) => FLAGS[flag]).filter(Boolean);
    const age = Date.now() - newest.at;
    const when = age > OLD_MS ? `last at ${localTime(newest.at)}` : localTime(newest.at, "time");
    element.classList.toggle("is-old", age > OLD_MS);
    element.append(name, value, piece("div", "tile-note", [when, ...warnings].join(" · ")));
    return element;
  }
}

function piece(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
