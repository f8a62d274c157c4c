// Whether a face stands well in the picture, told without the picture: its place, its size, light and pose.

import { _ } from "./messages.js";
import { REGISTERS } from "./registers.js";

const ZONE = { x: 0.15, y: 0.05, width: 0.7, height: 0.9 }; // shares of the picture: beyond it a nod leaves the picture
const { leastPx: LEAST_PX, wantedPx: WANTED_PX } = REGISTERS.face; // heights: below, no face is read; from there, more add nothing
const NOTHING = ["–", null];
// The agent names the first flaw that it finds, in this order; what comes after it was not judged.
const ORDER = Object.keys(REGISTERS.flaws);

function place([x, y, width, height]) {
  const off = [];
  const isWide = x < ZONE.x && x + width > ZONE.x + ZONE.width;
  const isTall = y < ZONE.y && y + height > ZONE.y + ZONE.height;
  if (x < ZONE.x) off.push(_("too far left"));
  if (x + width > ZONE.x + ZONE.width) off.push(_("too far right"));
  if (y < ZONE.y) off.push(_("too high"));
  if (y + height > ZONE.y + ZONE.height) off.push(_("too low"));
  if (isWide || isTall) return [_("too close"), false];
  return off.length ? [off.join(", "), false] : [_("in the zone"), true];
}

function size(px) {
  const text = _("{px} px, {wanted} needed", { px: Math.round(px), wanted: WANTED_PX });
  if (px < LEAST_PX) return [`${text}: ${_("come closer")}`, false];
  return [px < WANTED_PX ? `${text}: ${_("closer is better")}` : text, px >= WANTED_PX];
}

function judged(flaw, bad, good) {
  if (bad[flaw]) return [bad[flaw], false];
  const last = Math.max(...Object.keys(bad).map((name) => ORDER.indexOf(name)));
  return flaw && ORDER.indexOf(flaw) < last ? [_("not assessed yet"), null] : [good, true];
}

/** What is said of a face of a message of type expression: [words, isGood] for place, size, light and pose; null is neither. */
export function framing(face, frame) {
  if (!face) return [NOTHING, NOTHING, NOTHING, NOTHING];
  return [
    face.flaw === "cut_off" ? [_("cut off by the edge"), false] : place(face.box),
    size(face.box[3] * frame.height),
    judged(face.flaw, { too_dark: _("too dark: add light from the front"), too_bright: _("too bright") }, _("enough")),
    judged(face.flaw, { turned_away: _("turned away") }, _("towards the camera")),
  ];
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show it in the list, and on the badge whether everything is as it should be. */
export function showFraming(list, badge, face, frame) {
  const said = framing(face, frame);
  said.forEach(([words, isGood], index) => {
    const place = list.children[index].querySelector("dd");
    setText(place, words);
    place.dataset.good = isGood ?? "";
  });
  const isReady = Boolean(face) && !face.flaw && said.every(([, isGood]) => isGood);
  setText(badge, isReady ? _("ready") : _("not ready"));
  badge.classList.toggle("badge-good", isReady);
}

function outline(zone, { width, height }, name) {
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const right = zone.width * width;
  path.setAttribute("d", `M${zone.x * width} ${zone.y * height}h${right}v${zone.height * height}h${-right}z`);
  path.setAttribute("class", name);
  return path;
}

/** The zone in which a face should stand, for a picture of this size. */
export function zoneOf(frame) {
  return outline(ZONE, frame, "face-zone");
}

const SEAT_SIDES = 1.25; // from the middle of the face to each edge of its seat: a head that leans stays in it

/** The seat around a face: left, top, width and height in shares of the picture. */
export function seatAround([x, y, width, height]) {
  const edge = (middle, side) => [middle - SEAT_SIDES * side, middle + SEAT_SIDES * side].map((value) => Math.round(100 * Math.min(Math.max(value, 0), 1)) / 100);
  const [left, right] = edge(x + width / 2, width);
  const [top, bottom] = edge(y + height / 2, height);
  return [left, top, right - left, bottom - top].map((value) => Number(value.toFixed(2)));
}

/** Where the participant sits, as `vision.seat` says: left, top, width and height; nothing where it is not asked for. */
export function seatOf(seat, frame) {
  if (!seat) return [];
  const [x, y, width, height] = seat.split(" ").map(Number);
  return [outline({ x, y, width, height }, frame, "face-seat")];
}
