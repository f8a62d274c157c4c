// Takes pictures that the server drew as figures that stand alone, 17 or 8.5 cm wide: always light, with title, legend and
// caption, and without the page's style sheet. Areas are told apart by patterns as well, so that they print in grey.

import { CAPTION_LINE, FIGURE_FONT, FIGURE_SIDE, LEGEND_LINE, lightColour, lightColours, savePicture, sourceOf, widest, wrapped } from "./figure.js";
import { _ } from "./messages.js";

const SVG = "http://www.w3.org/2000/svg";
const FONT = `12px ${FIGURE_FONT}`;
const TITLE_FONT = `bold 15px ${FIGURE_FONT}`;
const TITLE_LINE = 19;
const SWATCH = 12;
const WIDTHS_CM = { wide: 17, narrow: 8.5 };
const UP_ROOM = 10; // beside the labels of the vertical axis
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "opacity", "fill-opacity", "font-size", "font-weight", "shape-rendering", "paint-order", "display"];
const DOT = "M3 3h.01";
const HATCHES = ["", "M0 6L6 0", DOT, "M0 0L6 6M0 6L6 0", "M0 0L6 6", DOT, "M0 3h6", "M0 3h6M3 0v6", "M3 0v6"]; // by the order of the categories, as charts.js has them

function make(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Write lines of text below each other; return where the next one would begin. */
function write(parent, lines, y, step, attributes) {
  lines.forEach((line, place) => parent.append(make("text", { x: FIGURE_SIDE, y: y + place * step, ...attributes }, line)));
  return y + lines.length * step;
}

/** Lay patterns over the areas of each category. */
function hatch(picture, categories) {
  const areas = [...picture.querySelectorAll(":is(path, rect).shade[data-emotion]")];
  categories.forEach((name, place) => {
    const shape = HATCHES[place % HATCHES.length];
    const own = areas.filter((area) => area.dataset.emotion === name);
    if (!shape || !own.length) return;
    const pattern = make("pattern", { id: `grey-${place}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" });
    pattern.append(make("path", { d: shape, fill: "none", stroke: lightColour("--ink"), "stroke-width": shape === DOT ? 2 : 0.8, "stroke-linecap": "round", "data-own": "" }));
    picture.prepend(pattern);
    for (const area of own) {
      const over = make(area.tagName, { fill: `url(#grey-${place})`, "data-own": "" });
      for (const key of ["d", "x", "y", "width", "height"]) if (area.hasAttribute(key)) over.setAttribute(key, area.getAttribute(key));
      area.after(over);
    }
  });
}

/** Return what the legend names: the entries of the page, and the lines, where there are several colours. */
function entries(figure, drawing) {
  const found = [...figure.querySelectorAll(".legend > li")].filter((entry) => !entry.querySelector(".swatch-empty")).map((entry) => ({ text: entry.textContent.trim(), swatch: entry.querySelector(".emotion-swatch"), line: entry.querySelector("svg:not(.in-grey)") }));
  const lines = new Map([...drawing.querySelectorAll("g[data-colour]:has(> title)")].map((line) => [line.dataset.colour, line.querySelector("title").textContent]));
  const listed = new Set(found.map(({ swatch }) => swatch?.dataset.colour));
  if (lines.size > 1) for (const [colour, text] of lines) if (!listed.has(colour)) found.push({ text, colour });
  return found;
}

function mark(entry, x, y, kind) {
  const { swatch, line, colour } = entry;
  const box = { x, y: y - 10, width: SWATCH, height: SWATCH };
  if (line) {
    const sample = line.cloneNode(true);
    for (const [key, value] of Object.entries({ x, y: y - 6, width: 28, height: 4 })) sample.setAttribute(key, value);
    return [sample, 28];
  }
  const stroke = colour ?? swatch?.dataset.colour;
  if (stroke) {
    const sample = make("g", { "data-colour": stroke });
    sample.append(make("path", { class: "timeline-line", d: `M${x} ${y - 4}h20` }));
    return [sample, 20];
  }
  const hatching = swatch?.classList.contains("swatch-left-out") ? `url(#left-out-${kind})` : "";
  if (hatching) return [make("rect", { ...box, fill: hatching, stroke: lightColour("--text-soft"), "data-own": "" }), SWATCH];
  return [make("rect", { ...box, class: "shade", "data-emotion": swatch?.dataset.emotion ?? "" }), SWATCH];
}

/** Lay out the legend in rows; return where it ends. */
function legend(picture, every, y, width, kind) {
  let x = FIGURE_SIDE;
  let row = y;
  for (const entry of every) {
    const needed = 28 + 8 + widest([entry.text], FONT) + 14;
    if (x > FIGURE_SIDE && x + needed > width - FIGURE_SIDE) [x, row] = [FIGURE_SIDE, row + LEGEND_LINE];
    const [sample, wide] = mark(entry, x, row, kind);
    picture.append(sample, make("text", { x: x + wide + 6, y: row }, entry.text));
    x += wide + 6 + widest([entry.text], FONT) + 14;
  }
  return every.length ? row + LEGEND_LINE : y;
}

/** Write a colour as programs of every age read it. */
function plain(value) {
  if (!/^(color|oklab|oklch|lab|lch)\(/.test(value)) return value;
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = value;
  context.fillRect(0, 0, 1, 1);
  return `rgb(${[...context.getImageData(0, 0, 1, 1).data].slice(0, 3).join(", ")})`;
}

/** Write what the style sheet says into the picture itself, for no style sheet goes along. */
function settle(picture) {
  for (const element of picture.querySelectorAll("*")) {
    if (element.hasAttribute("data-own") || element.parentElement.tagName === "defs") continue; // what is defined has the colours of where it is used
    const style = getComputedStyle(element);
    for (const name of STYLES) {
      const value = style.getPropertyValue(name);
      if (value && !(name === "display" && value !== "none")) element.setAttribute(name, plain(value));
    }
  }
  for (const element of picture.querySelectorAll("*")) {
    for (const { name } of [...element.attributes]) if (name === "class" || name.startsWith("data-") || name.startsWith("aria-")) element.removeAttribute(name);
  }
}

/** Where the title of the vertical axis stands, and how long it may be: beside each strip of shares, else beside each row of panels. */
function places(drawing, height) {
  const strips = [...drawing.querySelectorAll(".timeline-ground")].map((ground) => [ground.getAttribute("y"), ground.getAttribute("height")].map(Number));
  return strips.length ? strips.map(([top, tall]) => ({ middle: top + tall / 2, long: tall })) : [{ middle: height / 2, long: height }];
}

/** The picture of a width, without what is for the screen alone; of a chart with the legend that the page has beside it. */
function pictureOf(figure, kind) {
  const original = figure.querySelector(`svg:is(.timeline-${kind}, .curves-${kind}, .drawing-${kind})`);
  const drawing = original.cloneNode(true);
  for (const part of drawing.querySelectorAll(".on-screen, .readout-line")) part.remove();
  const { width, height } = original.viewBox.baseVal;
  const whole = Number(drawing.dataset.whole ?? height);
  drawing.setAttribute("viewBox", `0 0 ${width} ${whole}`);
  return { drawing, drawn: width, height: whole };
}

/** What stands below a figure: its caption, and whose the data are. */
function captionOf(figure) {
  const told = figure.dataset.caption ?? figure.querySelector(".chart-sentence")?.textContent ?? "";
  return [told, sourceOf(figure)].filter(Boolean).join(" ");
}

/** Return the figure and its size. It is in the page while it is made, where its light colours are computed. */
function standingAlone(figure, size) {
  const { drawing, drawn, height } = pictureOf(figure, size);
  const { title, across, up } = figure.dataset;
  const beside = up ? places(drawing, height).map(({ middle, long }) => ({ middle, lines: wrapped(up, long, FONT) })) : [];
  const most = Math.max(1, ...beside.map(({ lines }) => lines.length));
  const more = (most - 1) * CAPTION_LINE; // for further lines of the title the drawing shrinks: the figure stays as wide as a page's text
  const left = FIGURE_SIDE + (up ? UP_ROOM : 0) + more;
  const width = left - more + drawn + FIGURE_SIDE;
  for (const ground of drawing.querySelectorAll('[fill^="url(#no-face"]')) ground.setAttribute("fill", lightColour("--paper")); // white, as the caption says: hatches are for expressions
  drawing.removeAttribute("class"); // of a width of the page
  const kind = `${size}-timeline`;
  const room = width - 2 * FIGURE_SIDE;
  const picture = make("svg", { xmlns: SVG, "font-family": FIGURE_FONT, "font-size": 12, fill: lightColour("--text"), class: "timeline" });
  const ground = document.createElement("div");
  ground.className = "visually-hidden figure-ground";
  const light = lightColours();
  for (const name of light) if (name.startsWith("--")) ground.style.setProperty(name, light.getPropertyValue(name));
  const back = make("rect", { width: "100%", height: "100%", fill: lightColour("--paper"), "data-own": "" });
  picture.append(back);
  let y = write(picture, wrapped(title, room, TITLE_FONT), FIGURE_SIDE + 14, TITLE_LINE, { "font-size": 15, "font-weight": 700, "data-own": "" });
  for (const [key, value] of Object.entries({ x: left, y: y - 6, width: drawn - more, height, preserveAspectRatio: "xMinYMid", overflow: "visible" })) drawing.setAttribute(key, value);
  picture.append(drawing);
  for (const { middle, lines } of beside) {
    const at = y - 6 + Math.max(middle, widest(lines, FONT) / 2); // below the title
    lines.forEach((line, place) => {
      const x = FIGURE_SIDE + 4 + place * CAPTION_LINE;
      picture.append(make("text", { x, y: at, "text-anchor": "middle", transform: `rotate(-90 ${x} ${at})` }, line));
    });
  }
  y += height + 10;
  if (across) {
    picture.append(make("text", { x: width / 2, y, "text-anchor": "middle" }, across));
    y += LEGEND_LINE + 4;
  } else y += 6;
  const every = "chart" in figure.dataset ? [] : entries(figure, drawing);
  y = legend(picture, every, y, width, kind) + (every.length ? 2 : 0);
  y = write(picture, wrapped(captionOf(figure), room, FONT), y, CAPTION_LINE, {});
  const tall = Math.ceil(y - CAPTION_LINE + FIGURE_SIDE);
  for (const [key, value] of Object.entries({ width: `${WIDTHS_CM[size]}cm`, height: `${((WIDTHS_CM[size] * tall) / width).toFixed(2)}cm`, viewBox: `0 0 ${width} ${tall}` })) picture.setAttribute(key, value);
  hatch(picture, every.map(({ swatch }) => swatch?.dataset.emotion).filter(Boolean));
  ground.append(picture);
  document.body.append(ground);
  settle(picture);
  ground.remove();
  picture.removeAttribute("class");
  return { text: new XMLSerializer().serializeToString(picture), width, height: tall };
}

async function copyCaption(button) {
  try {
    await navigator.clipboard.writeText(captionOf(button.closest("figure")));
    button.textContent = _("Copied");
  } catch { // a page without HTTPS has no clipboard
    const field = document.createElement("textarea");
    field.readOnly = true;
    field.value = captionOf(button.closest("figure"));
    button.after(field);
    field.select();
  }
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-take]");
  if (button === null || button.dataset.take === "csv") return;
  if (button.dataset.take === "caption") return copyCaption(button);
  const figure = button.closest("figure");
  const size = figure.querySelector(".figure-width").value;
  const { text, width, height } = standingAlone(figure, size);
  await savePicture(text, size === "wide" ? figure.id : `${figure.id}-${size}`, button.dataset.take, WIDTHS_CM[size], height / width);
});
