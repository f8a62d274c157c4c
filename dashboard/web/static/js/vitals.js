// Tiles of the newest vital signs. Kinds with the same title share one tile, as people read systolic and diastolic.

import { _, figure, memberOf, said } from "./messages.js";
import { ago, deviceNow, localTime, span } from "./page.js";
import { Histories, sparkline } from "./sparkline.js";

const OLD_MS = 600000;
const SILENT_MS = 10000; // a source that speaks all the time is silent after this

export class VitalTiles {
  /**
   * places: {first, others, section, empty}: where the tiles of the first kinds stand, which are always there; where the
   * others do, what is around these, and what is said while no kind is known.
   * kinds: what the registry says of each kind (kind, title, unit, digits, colour), in the order of the tiles.
   * unusable: the flags of readings that are in doubt.
   */
  constructor(places, kinds, firstKinds, recorded, unusable) {
    this.histories = new Histories(unusable);
    const tiles = tilesOf(kinds);
    this.first = tiles.filter((tile) => firstKinds.includes(tile.kinds[0]));
    this.others = tiles.filter((tile) => !this.first.includes(tile));
    this.places = places;
    this.latest = new Map();
    this.reason = "";
    this.isPassing = false;
    for (const message of recorded) this.add(message);
    setInterval(() => document.hidden || this.draw(), 1000);
  }

  /** Put in what was recorded while this page did not listen. */
  fill(vitals) {
    this.histories.fill(vitals);
    this.draw();
  }

  add(message) {
    const isToCome = message.at > deviceNow() && message.flags?.includes("clock_differs");
    if (isToCome) return;
    this.histories.add(message, deviceNow());
    const known = this.latest.get(message.kind);
    const isLater = known && known.at > message.at && known.at <= deviceNow();
    if (isLater) return;
    this.latest.set(message.kind, message);
    this.draw();
  }

  /** Show the tiles; reason says why nothing new can come, empty while it can; isPassing: for a moment. */
  show(reason, isPassing) {
    if (reason === this.reason) return;
    this.reason = reason;
    this.isPassing = isPassing;
    this.draw();
  }

  draw() {
    const isKnown = (tile) => tile.kinds.some((kind) => this.latest.has(kind));
    const others = this.others.filter(isKnown);
    this.places.first.replaceChildren(...this.first.map((tile) => (isKnown(tile) ? this.tile(tile) : noReading(tile))));
    this.places.others.replaceChildren(...others.map((tile) => this.tile(tile)));
    this.places.section.hidden = others.length === 0 && this.latest.size > 0;
    this.places.empty.hidden = this.latest.size > 0;
  }

  tile({ title, unit, kinds, shown, digits, stream }) {
    const readings = kinds.map((kind) => this.latest.get(kind));
    const known = readings.filter(Boolean);
    const newest = known.reduce((a, b) => (a.at >= b.at ? a : b));
    const flags = new Set(known.flatMap((reading) => reading.flags ?? []));
    const age = deviceNow() - newest.at;
    const element = piece("div", "tile", "");
    element.dataset.tile = kinds[0];
    const written = `${readings.map((reading) => (reading ? figure(reading.value, digits) : "–")).join("/")}`;
    const isSilent = stream && !flags.has("manual") && (age > SILENT_MS || this.reason !== "");
    const value = piece("div", "tile-value", isSilent ? "–" : written);
    if (!isSilent) value.append(" ", piece("small", "", unit));
    const warnings = [...flags].filter((flag) => flag !== "simulated").map((flag) => memberOf("flags", flag).says);
    const when = age > OLD_MS ? localTime(newest.at) : ago(age);
    const silence = this.reason || _("silent for {span}", { span: span(age) });
    const notes = isSilent && this.isPassing ? [silence] : isSilent ? [silence, _("last {value}", { value: `${written} ${unit}` }), when] : [when, ...warnings];
    element.classList.toggle("is-old", age > OLD_MS);
    const line = piece("div", "tile-line", "");
    line.append(piece("div", "tile-note", notes.join(" · ")));
    if (flags.has("simulated")) line.append(piece("span", "badge badge-simulated", _("simulated")));
    // The page hears the device's clock late: the reading that stands above may be ahead of it, and belongs into the range.
    const { picture, text } = sparkline(shown, this.histories, Math.max(deviceNow(), newest.at));
    element.append(piece("div", "tile-name", said(title)), value, line, picture, piece("div", "tile-span", text));
    return element;
  }
}

/** A tile of kinds of which nothing is known, as tall as it will be then. */
function noReading({ title, shown }) {
  const element = piece("div", "tile", "");
  const line = piece("div", "tile-line", "");
  line.append(piece("div", "tile-note", _("no reading yet")));
  const { picture } = sparkline(shown, new Histories([]), 0);
  element.append(piece("div", "tile-name", said(title)), piece("div", "tile-value", "–"), line, picture, piece("div", "tile-span", ""));
  return element;
}

function tilesOf(kinds) {
  const tiles = new Map();
  for (const { kind, title, unit, digits, stream, colour } of kinds) {
    if (!tiles.has(title)) tiles.set(title, { title, unit, digits, stream, kinds: [], shown: [] });
    tiles.get(title).kinds.push(kind);
    tiles.get(title).shown.push({ kind, colour, digits });
  }
  return [...tiles.values()];
}

function piece(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
