// Keeps a range that ends now up to date.

import { drawChart } from "./charts.js";

const REFRESH_MS = 30000;
const holder = document.getElementById("trends");
const length = Number(holder.dataset.length);

async function refresh() {
  if (document.hidden) return;
  const end = Date.now();
  const answer = await fetch(`/api/v1/trends/chart?start=${end - length}&end=${end}`);
  if (answer.status === 401) window.location.reload();
  if (answer.ok) await drawChart(holder.querySelector("figure"), await answer.json());
}

if (length) {
  setInterval(() => refresh().catch(() => {}), REFRESH_MS); // the dashboard may be restarting; the next one succeeds
  document.addEventListener("visibilitychange", () => refresh().catch(() => {}));
}
