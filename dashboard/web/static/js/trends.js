// The trends chart: keeps a range that ends now up to date, by the device's clock; takes what is dragged as a new range
// into the address; shows one colour alone.

import { localiseAxes, pointedAt, shownPicture, timesOf } from "./charts.js";
import { followFeed } from "./feed.js";
import { localiseTimes } from "./page.js";

const REFRESH_MS = 30000;
const SVG = "http://www.w3.org/2000/svg";
const SHORTEST_MS = 1000;
const LEAST_DRAG = 4;
const FRESH_MS = 5000; // so long a page that has just come is as new as it can be
const holder = document.getElementById("trends");
const figure = holder.querySelector("figure");
const plot = figure.querySelector(".chart-plot");
const length = Number(holder.dataset.length);
const kept = holder.dataset.kept; // device and movements, as the address has them

/** Put the bars of a share that is alone on the foot of the plot, else back onto the others. */
function stand(trace, isAlone) {
  if (!trace.dataset.foot) return;
  const shape = document.querySelector(trace.querySelector("use").getAttribute("href"));
  shape.dataset.piled ??= shape.getAttribute("d");
  const onFoot = (_, left, wide, tall) => `M${left} ${Number(trace.dataset.foot) - tall}h${wide}v${tall}`;
  shape.setAttribute("d", isAlone ? shape.dataset.piled.replace(/M([\d.]+) [\d.]+h([\d.]+)v([\d.]+)/g, onFoot) : shape.dataset.piled);
}

/** Hide what is not among the chosen ones of its legend. */
function showAlone() {
  for (const trace of plot.querySelectorAll("[data-trace]")) {
    const button = document.querySelector(`[data-alone="${CSS.escape(trace.dataset.trace)}"]`);
    const chosen = button?.closest("ul").querySelector("[aria-pressed=true]");
    trace.classList.toggle("is-away", Boolean(chosen) && chosen !== button);
    stand(trace, Boolean(button) && chosen === button);
  }
}

/** Put in the chart of now, with its numbers and its table. */
async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(window.location.href).catch(() => null); // the next one succeeds
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#trends")?.querySelector("figure");
  if (!fresh) return window.location.reload(); // logged out, or nothing in the range any more
  for (const part of [".chart-plot", "figcaption", ".chart-table .table-scroll"]) {
    figure.querySelector(part).replaceChildren(...document.adoptNode(fresh.querySelector(part)).childNodes);
  }
  figure.dataset.caption = fresh.dataset.caption ?? "";
  localiseTimes(figure);
  localiseAxes(figure);
  showAlone();
}

function onState(name) {
  if (name === "online" && performance.now() > FRESH_MS) refresh();
}

for (const button of document.querySelectorAll("[data-alone]")) {
  button.addEventListener("click", () => {
    const pressed = button.getAttribute("aria-pressed") === "true";
    for (const one of button.closest("ul").querySelectorAll("[data-alone]")) one.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(!pressed));
    showAlone();
  });
}

function goTo(start, end) {
  if (start >= 0 && end - start >= SHORTEST_MS) window.location.assign(`/trends?start=${Math.round(start)}&end=${Math.round(end)}${kept}`);
}

/** Take what is dragged as the new range; with Shift the range moves along. A finger scrolls the page. */
function drag(event) {
  if (event.button !== 0 || event.pointerType === "touch") return;
  const picture = shownPicture(plot);
  const { start, end, instant } = timesOf(picture);
  const [least, most] = [Number(picture.dataset.left), Number(picture.dataset.right)];
  const within = (x) => Math.max(least, Math.min(most, x));
  const from = pointedAt(picture, event);
  const box = document.createElementNS(SVG, "rect");
  box.setAttribute("class", "drag-box");
  box.setAttribute("height", picture.viewBox.baseVal.height);
  if (!event.shiftKey) picture.append(box);
  const onMove = (move) => {
    const [left, right] = [within(from), within(pointedAt(picture, move))].sort((a, b) => a - b);
    box.setAttribute("x", left);
    box.setAttribute("width", right - left);
  };
  const onUp = (up) => {
    window.removeEventListener("pointermove", onMove);
    box.remove();
    const to = pointedAt(picture, up);
    if (Math.abs(to - from) < LEAST_DRAG) return;
    if (event.shiftKey) {
      const shift = instant(from) - instant(to);
      return goTo(start + shift, end + shift);
    }
    const [left, right] = [within(from), within(to)].sort((a, b) => a - b);
    goTo(instant(left), instant(right));
  };
  event.preventDefault();
  window.addEventListener("pointermove", onMove);
  window.addEventListener("pointerup", onUp, { once: true });
}

plot.addEventListener("pointerdown", drag);
plot.addEventListener("dblclick", () => document.querySelector('[data-step="Zoom out"]')?.click());

if (length) {
  setInterval(refresh, REFRESH_MS);
  if (!("fleet" in holder.dataset)) followFeed({}, onState);
}
