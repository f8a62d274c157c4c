// Draws charts: takes the Plotly JSON that the server made, puts in the colours of the present scheme, and writes the
// same data as a table. The script of Plotly is large; it is loaded once, when the first chart is there. Charts that are
// seen are drawn first, the others one by one while the browser has nothing else to do.

import { CAPTION_LINE, FIGURE_FONT, FIGURE_SIDE, FIGURE_WIDTH, LEGEND_LINE, lightColour, lightColours, save, savePicture, sourceOf, widest, wrapped, zone } from "./figure.js";
import { LOCALE, isForeign } from "./messages.js";
import { localTime } from "./page.js";

const CONFIG = { locale: isForeign ? LOCALE : "en", displayModeBar: false, displaylogo: false, responsive: true, doubleClick: false, scrollZoom: false };
// Plotly adds style elements, which our policy forbids, where nothing has these ids; app.css has the rules.
const STYLE_IDS = ["plotly.js-style-global", "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53"];
const LABEL_GAP = 10;
const PAPER_WIDTH = 620; // A4 and Letter leave this much to a chart in a card, with any of our margins
const UP_ROOM = 36; // for the title of the vertical axis in a figure
const LEGEND_MARK = 62; // Plotly's sample of a line or a colour, and the space around it
const PATTERNS = ["", "/", ".", "x", "\\", ".", "-", "+", "|"]; // areas are told apart without their colours, too
const drawn = new Map();
let loading = null;
let onPaper = false;

/** Names of days and months, and the marks in numbers, as the browser knows them. */
function localeOfCharts() {
  const names = (count, day, form) => [...Array(count).keys()].map((index) => new Date(2023, ...day(index)).toLocaleDateString(LOCALE, form));
  const week = (index) => [0, 1 + index]; // 2023 began on a Sunday
  const year = (index) => [index, 1];
  const format = {
    days: names(7, week, { weekday: "long" }),
    shortDays: names(7, week, { weekday: "short" }),
    months: names(12, year, { month: "long" }),
    shortMonths: names(12, year, { month: "short" }),
    date: "%d.%m.%Y",
    year: "%Y",
    month: "%b %Y",
    dayMonth: "%-d %b",
    dayMonthYear: "%-d %b %Y",
    decimal: (1.5).toLocaleString(LOCALE).charAt(1),
    thousands: (11111).toLocaleString(LOCALE).charAt(2),
  };
  return { moduleType: "locale", name: LOCALE, dictionary: {}, format };
}

function loadPlotly() {
  loading ??= new Promise((resolve, reject) => {
    for (const id of STYLE_IDS) {
      const taken = document.createElement("meta");
      taken.id = id;
      taken.className = "no-inline-styles";
      document.head.append(taken);
    }
    const script = document.createElement("script");
    script.src = document.querySelector("meta[name=plotly-script]")?.content ?? "/static/plotly.min.js";
    script.onload = () => {
      if (isForeign) window.Plotly.register(localeOfCharts());
      resolve(window.Plotly);
    };
    script.onerror = () => reject(new Error("the chart script could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

/** Return the chart that a page carries as dashboard/charts/chart.py wrote it. */
export function unpack(element) {
  const { lists, rows, ...content } = JSON.parse(element.querySelector("[data-chart-json]").textContent);
  const instants = (steps) => {
    let at = 0;
    return steps.map((step) => (step === null ? null : (at += step)));
  };
  const whole = (value) => {
    if (Array.isArray(value)) return value.map(whole);
    if (value === null || typeof value !== "object") return value;
    if (value.$steps) return instants(value.$steps);
    if (value.$list !== undefined) return known[value.$list];
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, whole(part)]));
  };
  const known = lists.map(whole);
  const columns = whole(rows);
  return { ...whole(content), rows: (columns[0] ?? []).map((_, row) => columns.map((cells) => cells[row])) };
}

/** Return the colours: of the screen, or for paper the light ones, which the first rule of app.css has. */
function colours(forPaper = onPaper) {
  if (!forPaper) return getComputedStyle(document.documentElement);
  return lightColours();
}

/** Return a copy of value in which every "var(--name)" is the present value of that CSS variable. */
function withColours(value, style) {
  if (typeof value === "string") {
    return value.includes("var(--") ? value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim()) : value;
  }
  if (Array.isArray(value)) return value.map((item) => withColours(item, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withColours(item, style)]));
  }
  return value;
}

/** Write UTC milliseconds as the reader's clock does. As text, for Plotly itself shifts some of the numbers, and no text. */
function shifted(ms) {
  return typeof ms === "number" ? new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().replace("T", " ").slice(0, -1) : ms;
}

function withLocalTimes(figure) {
  for (const trace of figure.data) trace.x = trace.x?.map(shifted);
  const layout = figure.layout;
  if (layout.xaxis?.range) layout.xaxis.range = layout.xaxis.range.map(shifted);
  for (const shape of layout.shapes ?? []) {
    if (shape.xref === "x") [shape.x0, shape.x1] = [shifted(shape.x0), shifted(shape.x1)];
  }
  for (const note of layout.annotations ?? []) if (note.xref === "x") note.x = shifted(note.x);
  return figure;
}

/** As many ticks as are legible side by side. */
function fitTicks(layout, width) {
  for (const axis of ["xaxis", "xaxis2"]) {
    if (axis === "xaxis" || layout[axis]) layout[axis] = { tickangle: 0, nticks: Math.max(3, Math.floor(width / 75)), ...layout[axis] };
  }
}

/** Make room for the labels of the vertical axes. Plotly would draw everything twice to find out how much. */
function fitMargins(layout) {
  for (const [name, axis] of Object.entries(layout)) {
    if (!/^[xy]axis\d*$/.test(name)) continue;
    axis.ticklabeloverflow ??= "allow"; // otherwise each label is measured, and none of ours is hidden
    if (name.startsWith("x") || !axis.automargin || axis.title) continue;
    axis.automargin = false;
    const needed = widest(axis.ticktext ?? [], `${layout.font.size}px ${layout.font.family}`) + LABEL_GAP;
    layout.margin = { ...layout.margin, l: Math.max(layout.margin.l, Math.ceil(needed)) };
  }
}

function prepared(chart, width, forPaper = onPaper) {
  const style = colours(forPaper);
  const figure = withColours(structuredClone(chart.figure), style);
  if (chart.time_axis) withLocalTimes(figure);
  const layout = {
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    margin: { l: 48, r: 12, t: 12, b: 36 },
    dragmode: false,
    hoverlabel: {
      bgcolor: style.getPropertyValue("--surface-raised").trim(),
      bordercolor: style.getPropertyValue("--line").trim(),
      font: { color: style.getPropertyValue("--text").trim(), family: style.fontFamily, size: 12 },
    },
    ...figure.layout,
    font: { family: style.fontFamily, size: 12, color: style.getPropertyValue("--chart-text").trim(), ...figure.layout.font },
  };
  layout.showlegend ??= false; // on the page it stands beside the chart
  layout.autosize = !forPaper;
  if (forPaper) layout.width = width;
  if (chart.time_axis) fitTicks(layout, width);
  fitMargins(layout);
  return { data: layout.xaxis2 ? [...figure.data, secondTimes(layout)] : figure.data, layout };
}

/** Nothing, on the second axis of times: Plotly draws no axis without a trace. */
function secondTimes(layout) {
  return { type: "scatter", mode: "lines", x: [layout.xaxis.range[0]], y: [null], xaxis: "x2", hoverinfo: "skip", showlegend: false };
}

function cell(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function tableOf(chart) {
  const table = document.createElement("table");
  table.className = "table";
  const head = table.createTHead().insertRow();
  for (const column of chart.columns) {
    const name = cell("th", column);
    name.scope = "col";
    head.append(name);
  }
  const body = table.createTBody();
  for (const row of chart.rows) {
    const line = body.insertRow();
    row.forEach((value, index) => {
      line.append(cell("td", index === 0 && chart.time_axis ? localTime(Number(value)) : value));
    });
  }
  return table;
}

/** Write the numbers beside a chart; there are always as many. */
function showFigures(places, figures) {
  for (const [index, { name, value, unit, note }] of figures.entries()) {
    const texts = { dt: name, strong: value, small: unit, ".hint": note };
    for (const [part, text] of Object.entries(texts)) if (places[index]) places[index].querySelector(part).textContent = text;
  }
}

/** Draw a chart (the JSON of dashboard.charts.chart.Chart) into a <figure data-chart>, or draw it anew. */
export async function drawChart(element, chart) {
  drawn.set(element, chart);
  const sentence = element.querySelector(".chart-sentence");
  if (sentence.textContent !== chart.sentence) sentence.textContent = chart.sentence;
  showFigures(element.querySelectorAll(".chart-figures > div"), chart.figures ?? []);
  const details = element.querySelector("details");
  const fill = () => details.querySelector(".table-scroll").replaceChildren(tableOf(chart));
  details.ontoggle = () => details.open && fill();
  if (details.open) fill();
  const plotly = await loadPlotly();
  const plot = element.querySelector(".chart-plot");
  const { data, layout } = prepared(chart, onPaper ? PAPER_WIDTH : plot.clientWidth);
  if (window.matchMedia("(pointer: coarse)").matches) layout.dragmode = false; // a finger scrolls the page
  await plotly.react(plot, data, layout, CONFIG);
  element.dataset.drawn = "yes";
  element.dispatchEvent(new CustomEvent("chart-drawn", { detail: plot }));
}

const asHtml = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Give an axis that has no title its own, as near to its labels as all are. */
function titled(axis, text, standoff = 8) {
  if (axis?.title) return { ...axis, title: { standoff, ...axis.title } };
  return text ? { ...axis, title: { text: asHtml(text), standoff } } : axis;
}

/** Return a figure that stands alone: light, with title, titles of the axes, legend and caption, as high as it needs. */
function standingAlone(element, chart) {
  const { data: every, layout } = prepared(chart, FIGURE_WIDTH, true);
  const data = every.filter(({ meta }) => meta !== "no-face"); // white, as the caption says: hatches are for expressions
  if (layout.meta?.since) layout.xaxis.range[0] = shifted(layout.meta.since);
  const font = `12px ${FIGURE_FONT}`;
  const caption = wrapped([chart.caption || chart.sentence, sourceOf(element, layout.meta?.since ? localTime(layout.meta.since) : "")].filter(Boolean).join(" "), FIGURE_WIDTH - 2 * FIGURE_SIDE, font);
  const title = wrapped(chart.title, FIGURE_WIDTH - 2 * FIGURE_SIDE, `bold 15px ${FIGURE_FONT}`);
  const named = data.filter((trace) => trace.showlegend !== false && trace.visible !== false && trace.name);
  const room = FIGURE_WIDTH - 2 * FIGURE_SIDE;
  const widths = named.map((trace) => widest([trace.name], font) + LEGEND_MARK);
  const inOneRow = widths.reduce((sum, width) => sum + width, 0) <= room;
  // Where one row has no room, Plotly makes columns that are as wide as the widest entry.
  const rows = named.length < 2 ? 0 : inOneRow ? 1 : Math.ceil(named.length / Math.max(1, Math.floor(room / Math.max(...widths))));
  const [across, up] = chart.axes;
  layout.xaxis = chart.time_axis ? titled(layout.xaxis, `${across} (${zone(chart.figure.layout.xaxis.range[0])})`, 34) : titled(layout.xaxis, across); // a time is two lines
  layout.yaxis = titled(layout.yaxis, up);
  const foot = (chart.time_axis ? 62 : layout.xaxis?.title ? 46 : 30) + rows * LEGEND_LINE + caption.length * CAPTION_LINE + FIGURE_SIDE;
  const top = layout.margin.t + title.length * 19 + FIGURE_SIDE;
  const height = element.querySelector(".chart-plot").clientHeight - layout.margin.t - layout.margin.b + top + foot;
  const side = layout.yaxis?.title ? UP_ROOM : 0;
  const share = (pixels) => pixels / height;
  const inPlot = (pixels) => -pixels / (height - top - foot); // Plotly counts paper from the foot of the plot
  const below = foot - caption.length * CAPTION_LINE - FIGURE_SIDE / 2;
  data.filter(({ stackgroup, fillpattern }) => stackgroup && !fillpattern).forEach((trace, place) => {
    if (PATTERNS[place % PATTERNS.length]) trace.fillpattern = { shape: PATTERNS[place % PATTERNS.length], size: 6, solidity: 0.2, fgcolor: lightColour("--ink"), fillmode: "overlay" };
  });
  return {
    data,
    height,
    layout: {
      ...layout,
      autosize: false,
      width: FIGURE_WIDTH,
      height,
      paper_bgcolor: lightColour("--paper"),
      plot_bgcolor: lightColour("--paper"),
      font: { ...layout.font, family: FIGURE_FONT },
      margin: { ...layout.margin, l: layout.margin.l + side, t: top, b: foot },
      showlegend: rows > 0,
      legend: { orientation: "h", yref: "container", y: share(caption.length * CAPTION_LINE + FIGURE_SIDE), yanchor: "bottom", x: 0, traceorder: "normal", itemsizing: "trace", itemwidth: 44 },
      title: { text: title.map(asHtml).join("<br>"), x: share(0) + FIGURE_SIDE / FIGURE_WIDTH, xanchor: "left", y: 1 - share(FIGURE_SIDE + (title.length - 1) * 9.5), yanchor: "top", font: { size: 15, weight: 700 } },
      annotations: [
        ...(layout.annotations ?? []),
        { text: caption.map(asHtml).join("<br>"), xref: "paper", yref: "paper", x: 0, xshift: FIGURE_SIDE - layout.margin.l - side, xanchor: "left", y: inPlot(below), yanchor: "top", align: "left", showarrow: false, font: { size: 12 } },
      ],
    },
  };
}

/** Save a chart as a figure that stands alone. */
async function takeChart(element, format) {
  const { data, layout, height } = standingAlone(element, drawn.get(element));
  const address = await (await loadPlotly()).toImage({ data, layout, config: CONFIG }, { format: "svg", width: FIGURE_WIDTH, height });
  await savePicture(address, element.id, format, FIGURE_WIDTH, height);
}

const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function saveTable(element) {
  const chart = drawn.get(element);
  const rows = chart.rows.map((row) => (chart.time_axis ? [new Date(Number(row[0])).toISOString(), ...row.slice(1)] : row));
  const text = [chart.columns, ...rows].map((row) => row.map(quoted).join(",")).join("\n");
  const address = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  save(address, `${element.id}.csv`);
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-take]");
  if (button === null) return;
  const element = button.closest("figure");
  await drawFirst(element);
  if (button.dataset.take === "csv") saveTable(element);
  else await takeChart(element, button.dataset.take);
});

const whenIdle = window.requestIdleCallback ?? ((callback) => setTimeout(callback, 50));
const waiting = new Set(document.querySelectorAll("figure[data-chart]"));

function drawFirst(element) {
  if (!waiting.delete(element)) return null; // drawn already
  return drawChart(element, unpack(element));
}

async function drawRest() {
  const [element] = waiting;
  if (element === undefined) return;
  await drawFirst(element);
  whenIdle(drawRest);
}

const nearby = new IntersectionObserver((entries) => {
  const seen = entries.filter((entry) => entry.isIntersecting).map((entry) => drawFirst(entry.target));
  Promise.all(seen).then(() => whenIdle(drawRest));
});
for (const element of waiting) nearby.observe(element);
document.addEventListener("parts-came", () => {
  for (const element of document.querySelectorAll("figure[data-chart]:not([data-drawn])")) {
    if (!drawn.has(element)) waiting.add(element);
    nearby.observe(element);
  }
});
document.addEventListener("toggle", ({ target }) => { // drawn while it was folded, it has no width
  for (const [element, chart] of drawn) if (target.open && target.contains(element)) drawChart(element, chart);
}, true);

function drawAgain() {
  for (const [element, chart] of drawn) drawChart(element, chart);
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
// The browser prints when all that needs no waiting is done: drawing waits for nothing but Plotly's script.
for (const [name, forPaper] of [["beforeprint", true], ["afterprint", false]]) {
  window.addEventListener(name, () => {
    onPaper = forPaper;
    drawAgain();
    if (window.Plotly) for (const element of waiting) drawFirst(element);
  });
}
