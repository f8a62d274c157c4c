// Charts that the server drew: their times in the reader's zone, the values where somebody points or goes by the arrow
// keys, and their table as CSV. still.js takes them from the page as pictures.

import { csvText } from "./csv.js";
import { save, zone } from "./figure.js";
import { _ } from "./messages.js";
import { localTime, span } from "./page.js";
import "./still.js";

const SVG = "http://www.w3.org/2000/svg";
const DAY_MS = 86400000;

/** Where an instant lies in a picture, and the other way round. */
export function timesOf(picture) {
  const [start, end, left, right] = ["start", "end", "left", "right"].map((name) => Number(picture.dataset[name]));
  return { start, end, place: (ms) => left + ((ms - start) / (end - start)) * (right - left), instant: (x) => start + ((x - left) / (right - left)) * (end - start) };
}

/** Round times of the reader's zone in a range. */
function roundTimes(start, end, step) {
  const times = [];
  const at = new Date(start);
  if (step >= DAY_MS) {
    at.setHours(0, 0, 0, 0);
    for (; at <= end; at.setDate(at.getDate() + step / DAY_MS)) if (at >= start) times.push(Number(at));
    return times;
  }
  const shift = at.getTimezoneOffset() * 60000;
  for (let ms = Math.ceil((start - shift) / step) * step + shift; ms <= end; ms += step) times.push(ms);
  return times;
}

function labelsOf(ms, step) {
  const day = localTime(ms, "date");
  if (step >= DAY_MS) return [day];
  return [localTime(ms, step < 60000 ? "time" : "short"), day];
}

/** Put times of the reader's zone where the server wrote those of UTC. */
function localiseAxis(picture) {
  const step = Number(picture.dataset.step);
  const { start, end, place } = timesOf(picture);
  const times = roundTimes(start, end, step);
  for (const group of picture.querySelectorAll("[data-ticks]")) {
    const pattern = group.firstElementChild;
    if (!pattern) continue;
    let before = "";
    group.replaceChildren(...times.map((ms) => {
      const tick = pattern.cloneNode(true);
      tick.setAttribute("transform", `translate(${place(ms).toFixed(1)} 0)`);
      const [first, day] = labelsOf(ms, step);
      const [upper, lower] = tick.querySelectorAll("text");
      if (upper) upper.textContent = first;
      if (lower) lower.textContent = day === before ? "" : day ?? "";
      before = day;
      return tick;
    }));
  }
  for (const title of picture.querySelectorAll("[data-zone-of]")) title.textContent = `${title.dataset.zoneOf} (${zone(start)})`;
}

export function localiseAxes(root) {
  for (const picture of root.querySelectorAll("svg[data-step]")) localiseAxis(picture);
}

/** The picture of a chart that the style sheet shows. */
export const shownPicture = (plot) => [...plot.querySelectorAll("svg.drawing")].find((one) => one.getBoundingClientRect().width > 0);

/** Where a pointer is, in units of the picture. */
export function pointedAt(picture, event) {
  const box = picture.getBoundingClientRect();
  return ((event.clientX - box.left) / box.width) * picture.viewBox.baseVal.width;
}

/** Return name and value of each cell of a row; of what holds until it is measured again, the last one with its age. */
function valuesAt(table, index, instant) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows];
  const timeOf = (row) => Date.parse(row.cells[0].querySelector("time")?.dateTime);
  const heldFrom = Number(table.dataset.heldFrom ?? names.length);
  const values = [];
  for (let column = 1; column < names.length; column += 1) {
    const own = rows[index].cells[column].textContent.trim();
    if (own && own !== "0 %") values.push([names[column], own]);
    if (own || column < heldFrom) continue;
    let row = index;
    while (row >= 0 && !rows[row].cells[column].textContent.trim()) row -= 1;
    if (row >= 0) values.push([names[column], _("{value}, {time} before", { value: rows[row].cells[column].textContent.trim(), time: span(instant - timeOf(rows[row])) })]);
  }
  return values;
}

function written(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function forget(plot) {
  plot.querySelector(".chart-readout")?.remove();
  for (const line of plot.querySelectorAll(".readout-line")) line.remove();
}

/** Show the row of the table that lies at a place. */
function readAt(plot, index) {
  const picture = shownPicture(plot);
  const places = picture.dataset.places.split(" ").map(Number);
  const at = Math.max(0, Math.min(places.length - 1, index));
  const table = plot.closest("figure").querySelector("table");
  forget(plot);
  plot.dataset.at = at;
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", "readout-line");
  line.setAttribute("d", `M${places[at]} 0V${picture.viewBox.baseVal.height}`);
  picture.append(line);
  const row = table.tBodies[0].rows[at];
  const list = document.createElement("dl");
  for (const [name, value] of valuesAt(table, at, picture.dataset.step ? timesOf(picture).instant(places[at]) : 0)) list.append(written("dt", name), written("dd", value));
  const box = written("div", "");
  box.className = "chart-readout";
  box.setAttribute("role", "status");
  if (places[at] < picture.viewBox.baseVal.width / 2) box.classList.add("at-right");
  box.append(written("strong", picture.dataset.step ? row.cells[0].textContent : `${table.tHead.rows[0].cells[0].textContent}: ${row.cells[0].textContent}`), list);
  plot.append(box);
}

/** The row at a place: of times the one that had begun, else the nearest. */
function rowAt(picture, x) {
  const places = picture.dataset.places.split(" ").map(Number);
  if (picture.dataset.step) return Math.max(0, places.findLastIndex((place) => place <= x));
  return places.reduce((best, place, index) => (Math.abs(place - x) < Math.abs(places[best] - x) ? index : best), 0);
}

const KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

document.addEventListener("pointermove", (event) => {
  const plot = event.target.closest?.("[data-readable]");
  for (const other of document.querySelectorAll("[data-readable]:has(.chart-readout)")) if (other !== plot && other !== document.activeElement) forget(other);
  if (plot) readAt(plot, rowAt(shownPicture(plot), pointedAt(shownPicture(plot), event)));
});
document.addEventListener("keydown", (event) => {
  const plot = event.target.closest?.("[data-readable]");
  if (!plot || plot !== event.target) return;
  if (event.key === "Escape") forget(plot);
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  const last = shownPicture(plot).dataset.places.split(" ").length - 1;
  readAt(plot, Math.max(0, Math.min(last, Number(plot.dataset.at ?? -1) + KEYS[event.key])));
});
document.addEventListener("focusout", ({ target }) => target.matches?.("[data-readable]") && forget(target));

function saveTable(figure) {
  const rows = [...figure.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => cell.querySelector("time")?.dateTime ?? cell.textContent.trim()));
  const address = URL.createObjectURL(new Blob([csvText(rows)], { type: "text/csv" }));
  save(address, `${figure.id}.csv`);
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-take=csv]");
  if (button) saveTable(button.closest("figure"));
});
document.addEventListener("parts-came", () => localiseAxes(document));
localiseAxes(document);
