// What figures that are taken from a page have in common: their measures, their light colours, and how they are saved.

import { LOCALE } from "./messages.js";

const DOTS_PER_CM = 300 / 2.54; // as journals ask for
export const FIGURE_FONT = "Arial, Helvetica, sans-serif"; // what style guides ask for, and what every program that opens an SVG has
export const FIGURE_SIDE = 12;
export const CAPTION_LINE = 15;
export const LEGEND_LINE = 20;

/** The light colours, which the first rule of app.css has: figures and paper always have them. */
export function lightColours() {
  return [...document.styleSheets].find(({ href }) => href?.endsWith("/app.css")).cssRules[0].style;
}

/** A light colour by its name, such as "--paper". */
export function lightColour(name) {
  return lightColours().getPropertyValue(name).trim();
}

/** The width of the widest of some texts, in which <br> ends a line. */
export function widest(texts, font) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = font;
  return Math.max(0, ...texts.flatMap((text) => text.split("<br>")).map((line) => context.measureText(line).width));
}

/** Break a text into lines of at most so many pixels. */
export function wrapped(text, width, font) {
  const lines = [""];
  for (const word of text.replaceAll(" %", "\u00a0%").replace(/ ([=<]) /g, "\u00a0$1\u00a0").split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (lines.at(-1) && widest([longer], font) > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/** The zone of the times, such as "GMT+1". */
export function zone(ms) {
  const parts = new Intl.DateTimeFormat(LOCALE, { timeZoneName: "shortOffset" }).formatToParts(new Date(ms));
  return parts.find(({ type }) => type === "timeZoneName").value;
}

/** Whose the data of a page are, from when and by which model they were read. */
export function sourceOf(element) {
  const source = element.closest("[data-figure-source]") ?? document.querySelector("[data-figure-source]");
  for (const place of source?.querySelectorAll("[data-zone]") ?? []) place.textContent = ` (${zone(Number(place.dataset.zone))})`;
  const told = source?.cloneNode(true);
  return (told?.dataset.figureSource || told?.textContent || "").replace(/\s+/g, " ").trim();
}

export function save(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

/** Save a picture, as SVG or as PNG. Our policy allows pictures from data, not from blobs. */
export async function savePicture(text, name, format, widthCm, ratio) {
  const address = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  if (format === "svg") return save(address, `${name}.svg`);
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(widthCm * DOTS_PER_CM);
  canvas.height = Math.round(canvas.width * ratio);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  save(canvas.toDataURL("image/png"), `${name}.png`);
}
