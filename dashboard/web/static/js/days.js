// The days of one participant: where the address names no zone, midnight becomes that of the reader.

import { localiseTimes } from "./page.js";

const { start, end } = document.querySelector("article[data-start]").dataset;
const address = new URL(window.location.href);
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const isMidnight = (ms) => new Date(Number(ms)).toTimeString().startsWith("00:00");
if (zone && !address.searchParams.has("zone") && !(isMidnight(start) && isMidnight(end))) {
  address.searchParams.set("zone", zone);
  window.location.replace(address);
}

// Details take longer, so they come when somebody asks for them.
const details = document.getElementById("details");
details.addEventListener("toggle", async () => {
  const link = document.getElementById("whole");
  if (!details.open || !link) return;
  const answer = await fetch(link.href).catch(() => null);
  if (!answer?.ok) return; // the link stays
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const parts = page.querySelectorAll("#details > :not(summary)");
  if (!parts.length) return;
  details.replaceChildren(details.querySelector("summary"), ...parts);
  localiseTimes(details);
});
