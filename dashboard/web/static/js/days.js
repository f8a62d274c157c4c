// The days of one participant: where the address names no zone, midnight becomes that of the reader.

const { start, end } = document.querySelector("article[data-start]").dataset;
const address = new URL(window.location.href);
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const isMidnight = (ms) => new Date(Number(ms)).toTimeString().startsWith("00:00");
if (zone && !address.searchParams.has("zone") && !(isMidnight(start) && isMidnight(end))) {
  address.searchParams.set("zone", zone);
  window.location.replace(address);
}
