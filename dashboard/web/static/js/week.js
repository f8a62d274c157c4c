// Means by hour of the day and day of the week, in the reader's time zone, of the range that is shown.

import { LOCALE, _, figure } from "./messages.js";

const HOUR_MS = 3600000;
const MOST_HOURS = 2000; // as many buckets as the server gives
const NAME = new Intl.DateTimeFormat(LOCALE, { weekday: "short" });
const DAYS = [...Array(7).keys()].map((day) => NAME.format(new Date(2024, 0, 1 + day))); // a Monday
const fold = document.getElementById("week");
const choice = document.getElementById("week-of");
let trends = null;

async function load() {
  const end = Number(fold.dataset.end);
  const start = Math.max(Number(fold.dataset.start), end - MOST_HOURS * HOUR_MS);
  const buckets = Math.max(1, Math.ceil((end - start) / HOUR_MS));
  const answer = await fetch(`/api/v1/trends?start=${start}&end=${end}&buckets=${Math.min(buckets, MOST_HOURS)}${fold.dataset.kept}`).catch(() => null);
  if (answer?.status === 401) window.location.reload();
  return answer?.ok ? answer.json() : null;
}

/** Start, mean and weight of each bucket of what is chosen. */
function series(name) {
  const vital = trends.vitals[name];
  if (vital) return { starts: vital.starts, values: vital.mean, weights: vital.n };
  const { starts, shares, rows } = trends.expression;
  return { starts, values: shares[name].map((share) => (share === null ? null : 100 * share)), weights: rows };
}

function sums(name) {
  const cells = DAYS.map(() => [...Array(24)].map(() => ({ sum: 0, n: 0 })));
  const { starts, values, weights } = series(name);
  starts.forEach((start, index) => {
    if (values[index] === null) return;
    const at = new Date(start);
    const cell = cells[(at.getDay() + 6) % 7][at.getHours()];
    cell.sum += values[index] * weights[index];
    cell.n += weights[index];
  });
  return cells;
}

function headOf(text, scope) {
  const element = document.createElement("th");
  element.scope = scope;
  element.append(spanOf(text));
  return element;
}

function spanOf(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}

function show() {
  const { colour, decimals, unit } = choice.selectedOptions[0].dataset;
  const cells = sums(choice.value);
  const means = cells.flat().filter((cell) => cell.n > 0).map((cell) => cell.sum / cell.n);
  const least = Math.min(...means);
  const most = Math.max(...means);
  const write = (value) => figure(value, Number(decimals));
  document.getElementById("week-sentence").textContent = means.length
    ? _("Mean of each hour of the week with records: {n} of 168, from {least} to {most} {unit}. A fuller colour means higher.", { n: means.length, least: write(least), most: write(most), unit })
    : _("None of this was recorded in the range.");
  const table = document.getElementById("week-table");
  const head = document.createElement("thead");
  const hours = head.insertRow();
  hours.append(headOf(_("Hour"), "col"), ...[...Array(24).keys()].map((hour) => headOf(String(hour).padStart(2, "0"), "col")));
  const body = document.createElement("tbody");
  cells.forEach((row, day) => {
    const line = body.insertRow();
    line.append(headOf(DAYS[day], "row"));
    for (const [hour, { sum, n }] of row.entries()) {
      const cell = line.insertCell();
      if (n === 0) continue;
      cell.append(spanOf(write(sum / n)));
      cell.title = `${DAYS[day]} ${String(hour).padStart(2, "0")}: ${write(sum / n)} ${unit}`;
      const level = most > least ? (sum / n - least) / (most - least) : 1;
      cell.style.setProperty("--shade", `var(${colour})`);
      cell.style.setProperty("--level", `${Math.round(6 + 44 * level)}%`);
      cell.className = "is-filled";
    }
  });
  table.replaceChildren(head, body);
}

fold.addEventListener("toggle", async () => {
  if (!fold.open) return;
  trends ??= await load();
  if (trends) show();
  else document.getElementById("week-sentence").textContent = _("The dashboard does not answer. Close and open this again.");
});
choice.addEventListener("change", () => trends && show());
