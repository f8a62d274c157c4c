// Tiles of the newest vital signs. Kinds with the same title share one tile, as people read systolic and diastolic.

import { localTime } from "./page.js";

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
  poor_signal: "poor signal",
};
const OLD_MS = 600000;

export class VitalTiles {
  /** kinds: what the registry says of each kind (kind, title, unit, digits), in the order of the tiles. */
  constructor(holder, empty, kinds, recorded) {
    this.tiles = tilesOf(kinds);
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
    const tiles = this.tiles.filter((tile) => tile.kinds.some((kind) => this.latest.has(kind))).map((tile) => this.tile(tile));
    this.holder.replaceChildren(...tiles);
    this.empty.hidden = tiles.length > 0;
  }

  tile({ title, unit, kinds, digits }) {
    const readings = kinds.map((kind) => this.latest.get(kind));
    const known = readings.filter(Boolean);
    const newest = known.reduce((a, b) => (a.at >= b.at ? a : b));
    const flags = new Set(known.flatMap((reading) => reading.flags ?? []));
    const element = document.createElement("div");
    element.className = "tile";
    element.dataset.tile = kinds[0];
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

function tilesOf(kinds) {
  const tiles = new Map();
  for (const { kind, title, unit, digits } of kinds) {
    if (!tiles.has(title)) tiles.set(title, { title, unit, digits, kinds: [] });
    tiles.get(title).kinds.push(kind);
  }
  return [...tiles.values()];
}

function piece(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
