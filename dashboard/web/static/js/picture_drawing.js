// Draws a picture with the boxes of its faces, and what in a face spoke for and against a category.

import { _, said } from "./messages.js";
import { REGISTERS } from "./registers.js";

const STRONGEST = 0.8; // opacity of the largest value
const PLACES = [
  ...[_("top left"), _("top centre"), _("top right")],
  ...[_("middle left"), _("middle centre"), _("middle right")],
  ...[_("bottom left"), _("bottom centre"), _("bottom right")],
];
const LONGEST = 1400; // pixels of the drawn picture

/** Draw a picture, or its empty frame where this browser cannot show it; return nothing. */
export function drawPicture(canvas, picture, answer) {
  const scale = Math.min(1, LONGEST / Math.max(answer.width, answer.height));
  canvas.width = Math.max(1, Math.round(answer.width * scale));
  canvas.height = Math.max(1, Math.round(answer.height * scale));
  const context = canvas.getContext("2d");
  if (picture) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const line = Math.max(2, canvas.width / 250);
  answer.faces.forEach((face, index) => drawBox(context, face, index + 1, scale, line));
}

/** A colour of the page's style sheet. */
function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function drawBox(context, face, number, scale, line) {
  const [x, y, width, height] = face.box.map((value) => value * scale);
  context.setLineDash(face.flaw ? [4 * line, 3 * line] : []);
  context.lineWidth = 2.5 * line; // dark around light: seen on any picture
  context.strokeStyle = token("--over-picture");
  context.strokeRect(x, y, width, height);
  context.lineWidth = line;
  context.strokeStyle = token("--paper");
  context.strokeRect(x, y, width, height);
  const size = Math.max(14, 9 * line);
  context.font = `600 ${size}px system-ui, sans-serif`;
  const text = String(number);
  const left = Math.max(0, x);
  const top = Math.max(0, y);
  context.fillStyle = token("--over-picture");
  context.fillRect(left, top, context.measureText(text).width + size * 0.8, size * 1.4);
  context.fillStyle = token("--paper");
  context.textBaseline = "middle";
  context.fillText(text, left + size * 0.4, top + size * 0.72);
}

/** Draw the face as the model saw it, gray, with the evidence for one category over it. */
export function drawEvidence(canvas, picture, evidence, category) {
  const side = canvas.width;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.resetTransform();
  context.clearRect(0, 0, side, side);
  if (picture) drawFace(context, picture, evidence.corners, side);
  const rows = evidence.parts[category];
  context.imageSmoothingQuality = "high";
  context.drawImage(tinted(rows), 0, 0, side, side);
}

function drawFace(context, picture, corners, side) {
  const [[x, y], [rightX, rightY], , [downX, downY]] = corners;
  const toPicture = new DOMMatrix([rightX - x, rightY - y, downX - x, downY - y, x, y]);
  context.setTransform(new DOMMatrix([side, 0, 0, side, 0, 0]).multiply(toPicture.inverse()));
  context.drawImage(picture, 0, 0);
  context.resetTransform();
  const pixels = context.getImageData(0, 0, side, side);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const [red, green, blue] = pixels.data.subarray(at, at + 3);
    pixels.data.fill(0.299 * red + 0.587 * green + 0.114 * blue, at, at + 3);
  }
  context.putImageData(pixels, 0, 0);
}

/** A small picture of the cells: their colour says for or against, their opacity how much. */
function tinted(rows) {
  const small = document.createElement("canvas");
  small.width = rows[0].length;
  small.height = rows.length;
  const context = small.getContext("2d");
  const pixels = context.createImageData(small.width, small.height);
  const largest = Math.max(1e-9, ...rows.flat().map(Math.abs));
  rows.flat().forEach((value, index) => {
    const colour = value > 0 ? REGISTERS.evidence.supports : REGISTERS.evidence.against;
    pixels.data.set([...colour, Math.round((255 * STRONGEST * Math.abs(value)) / largest)], 4 * index);
  });
  context.putImageData(pixels, 0, 0);
  return small;
}

/** Say in words where a face speaks most for and against a category. */
export function evidenceText(evidence, category) {
  const rows = evidence.parts[category];
  const values = rows.flat();
  const place = (value) => {
    const index = values.indexOf(value);
    const row = Math.floor(index / rows[0].length) / rows.length;
    const column = (index % rows[0].length) / rows[0].length;
    return PLACES[3 * Math.floor(row * 3) + Math.floor(column * 3)];
  };
  const most = Math.max(...values);
  const least = Math.min(...values);
  const parts = [];
  if (most > 0) parts.push(_("strongest for {emotion}: {place}", { emotion: said(category), place: place(most) }));
  if (least < 0) parts.push(_("strongest against: {place}", { place: place(least) }));
  return parts.length ? _("In this face, {parts}.", { parts: parts.join("; ") }) : _("No region stands out.");
}
