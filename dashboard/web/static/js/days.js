// The days of one participant: of this machine, as everywhere; of the reader's clock where it differs and they ask.

import { localiseTimes } from "./page.js";

const { start, end } = document.querySelector("article[data-start]").dataset;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const isMidnight = (ms) => new Date(Number(ms)).toTimeString().startsWith("00:00");
const own = document.getElementById("own-clock");
if (zone && own && !(isMidnight(start) && isMidnight(end))) {
  const address = new URL(own.href);
  address.searchParams.set("zone", zone);
  own.href = address.href;
  own.hidden = false;
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
