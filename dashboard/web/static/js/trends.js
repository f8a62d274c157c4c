// The trends chart: keeps a range that ends now up to date, by the device's clock; takes what is dragged as a new range
// into the address; shows one colour alone.

import { drawChart, unpack } from "./charts.js";
import { followFeed } from "./feed.js";

const REFRESH_MS = 30000;
const holder = document.getElementById("trends");
const figure = holder.querySelector("figure");
const length = Number(holder.dataset.length);
const kept = holder.dataset.kept; // device and movements, as the address has them
const shown = { chart: unpack(figure), alone: new Set() };

/** The chart with those traces hidden that are not among the chosen ones of their legend. */
function withAlone(chart) {
  const traces = chart.figure.data.map((trace) => {
    const button = document.querySelector(`[data-alone="${CSS.escape(trace.meta)}"]`);
    const others = button?.closest("ul").querySelector("[aria-pressed=true]");
    return others && others !== button ? { ...trace, visible: false } : trace;
  });
  return { ...chart, figure: { ...chart.figure, data: traces } };
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(`/api/v1/trends/chart/now?length=${length}${kept}`).catch(() => null); // the next one succeeds
  if (answer?.status === 401) window.location.reload();
  if (!answer?.ok) return;
  const chart = await answer.json();
  figure.querySelector(".chart-plot").classList.replace(`chart-${shown.chart.height}`, `chart-${chart.height}`); // with the first reading of a kind
  shown.chart = chart;
  await drawChart(figure, withAlone(shown.chart));
}

function onState(name) {
  if (name === "online" && figure.dataset.drawn) refresh();
}

for (const button of document.querySelectorAll("[data-alone]")) {
  button.addEventListener("click", () => {
    const pressed = button.getAttribute("aria-pressed") === "true";
    for (const one of button.closest("ul").querySelectorAll("[data-alone]")) one.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(!pressed));
    drawChart(figure, withAlone(shown.chart));
  });
}

/** Milliseconds of "2026-11-20 08:15" on Plotly's axis, which reads as the reader's clock does. */
function instant(text) {
  const [day, time = "00:00"] = text.split(" ");
  return new Date(`${day}T${time}`).getTime();
}

/** Go to a range that was dragged. */
function goTo(range) {
  const [start, end] = range.map(instant).sort((a, b) => a - b);
  if (start >= 0 && end - start >= 1000) window.location.assign(`/trends?start=${Math.round(start)}&end=${Math.round(end)}${kept}`);
}

figure.addEventListener("chart-drawn", (event) => {
  const plot = event.detail;
  plot.on("plotly_relayout", (change) => {
    if (change["xaxis.range[0]"] !== undefined) goTo([change["xaxis.range[0]"], change["xaxis.range[1]"]]);
  });
  plot.on("plotly_doubleclick", () => document.querySelector('[data-step="Zoom out"]')?.click());
}, { once: true });

if (length) {
  setInterval(refresh, REFRESH_MS);
  if (!("fleet" in holder.dataset)) followFeed({}, onState);
}
