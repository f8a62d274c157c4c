// The last five minutes of a vital sign as a small line: a gap is a gap, and readings far apart are points.

import { _, between, figure } from "./messages.js";

const SPAN_MS = 300000;
const WIDTH = 300;
const HEIGHT = 40;
const EDGE = 4;
const STEP_MS = 5000; // of the means that are drawn: what is recorded comes as such, and what is heard live is made so
const TOGETHER_MS = 15000; // readings that are farther apart are not joined
const SVG = "http://www.w3.org/2000/svg";

/** Keeps the readings of each kind, in their order of time, for as long as they are shown. */
export class Histories {
  /** kinds of flags that put a reading in doubt: those are not drawn. */
  constructor(unusable) {
    this.unusable = new Set(unusable);
    this.kinds = new Map();
  }

  of(kind) {
    return this.kinds.get(kind) ?? [];
  }

  /** Take a reading (a message of type vital). */
  add({ kind, at, value, flags }, now) {
    if (flags?.some((flag) => this.unusable.has(flag))) return;
    const points = this.of(kind).filter((point) => point.at > now - SPAN_MS && point.at !== at);
    points.push({ at, value, least: value, most: value, readings: 1 });
    if (points.length > 1 && points.at(-2).at > at) points.sort((a, b) => a.at - b.at);
    this.kinds.set(kind, points);
  }

  /** Put the means that the database knows (vitals of /api/v1/trends) before what was heard live. */
  fill(vitals) {
    for (const [kind, { starts, mean, min, max, n, bucket_ms: bucket }] of Object.entries(vitals)) {
      const heard = this.of(kind).filter((point) => !point.recorded);
      const first = heard[0]?.at ?? Infinity;
      const known = starts.map((start, index) => ({ at: start + bucket / 2, value: mean[index], least: min[index], most: max[index], readings: n[index], recorded: true }));
      this.kinds.set(kind, [...known.filter(({ at, value }) => value !== null && at + bucket / 2 <= first), ...heard]);
    }
  }
}

/** The mean of each step; else the line of a heart would turn jagged while somebody watches. */
function meansOf(points) {
  const steps = new Map();
  for (const point of points) {
    const step = Math.floor(point.at / STEP_MS);
    steps.set(step, [...(steps.get(step) ?? []), point]);
  }
  const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  return [...steps.values()].map((step) => ({ at: mean(step.map(({ at }) => at)), value: mean(step.map(({ value }) => value)) }));
}

/** Points in runs of those that belong together. */
function runsOf(points) {
  const runs = [];
  points.forEach((point, index) => {
    if (index === 0 || point.at - points[index - 1].at > TOGETHER_MS) runs.push([]);
    runs.at(-1).push(point);
  });
  return runs;
}

/** The `d` of a line through each run; a run of one point is a dot. */
function line(runs, x, y) {
  return runs.map((run) => `M${run.map(({ at, value }) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}${run.length === 1 ? "h.01" : ""}`).join("");
}

function pathOf(runs, colour, style, x, y) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", line(runs, x, y));
  path.setAttribute("class", style);
  path.style.setProperty("stroke", `var(${colour})`);
  return path;
}

/** Write the least and the greatest of some points. */
function rangeOf(points, digits) {
  if (points.length === 0) return "–";
  const [low, high] = [Math.min(...points.map(({ least }) => least)), Math.max(...points.map(({ most }) => most))].map((value) => figure(value, digits));
  return low === high ? _("steady at {value}", { value: low }) : between(low, high);
}

/** Draw the readings of some kinds ({kind, colour, digits}) on one scale; returns the picture and what it says. */
export function sparkline(kinds, histories, now) {
  const rows = kinds.map(({ kind, colour }) => {
    const points = histories.of(kind).filter(({ at }) => at > now - SPAN_MS && at <= now);
    return { colour, points, means: meansOf(points) };
  });
  const values = rows.flatMap(({ means }) => means.map(({ value }) => value));
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("class", "spark");
  picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  if (values.length === 0) return { picture, text: "" };
  const least = Math.min(...values);
  const most = Math.max(...values);
  const { digits } = kinds[0];
  const room = Math.max(most - least, 10 * 10 ** -digits); // small changes look small
  const middle = (least + most) / 2;
  const x = (at) => WIDTH * (1 - (now - at) / SPAN_MS);
  const y = (value) => HEIGHT / 2 - ((value - middle) / room) * (HEIGHT - 2 * EDGE);
  for (const { colour, means } of rows) {
    const runs = runsOf(means);
    const lines = runs.filter((run) => run.length > 1);
    const dots = runs.filter((run) => run.length === 1);
    if (lines.length) picture.append(pathOf(lines, colour, "spark-line", x, y));
    if (dots.length) picture.append(pathOf(dots, colour, "spark-dots", x, y));
  }
  const readings = Math.max(...rows.map(({ points }) => points.reduce((sum, point) => sum + point.readings, 0)));
  if (readings === 1) return { picture, text: `5 min: ${_("one reading")}` }; // which stands above, and is no course
  const ranges = rows.map(({ points }) => rangeOf(points, digits));
  return { picture, text: `5 min: ${ranges.join(" / ")}` };
}
