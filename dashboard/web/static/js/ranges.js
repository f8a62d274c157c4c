// The ranges of the trends page that depend on the reader's time zone: today and yesterday.

import { deviceNow } from "./page.js";

const kept = [...new URLSearchParams(window.location.search)].filter(([name]) => ["device", "participant", "session", "movement"].includes(name));

for (const link of document.querySelectorAll("a[data-day]")) {
  const day = new Date(deviceNow());
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() + Number(link.dataset.day));
  const start = day.getTime();
  day.setDate(day.getDate() + 1); // a day of 23 or 25 hours where the clocks change
  link.href = `/trends?${new URLSearchParams([["start", start], ["end", day.getTime()], ...kept])}`;
  link.hidden = false;
  if (new URL(link.href).search === window.location.search) link.setAttribute("aria-current", "true");
}
