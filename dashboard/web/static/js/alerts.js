// The alerts that stand, on every page. A page that follows the live feed hands them over; any other one has a stream
// of its own, only while it is seen.

import { _ } from "./messages.js";
import { localTime, showWithCode } from "./page.js";

const SHOWN = 3;
let isFedByPage = false;
let known = null; // numbers of the alerts that this page has shown: only a new one sounds
let source = null;

/** The page's own feed brings the alerts. */
export function feedAlerts() {
  isFedByPage = true;
}

function lineOf(alert) {
  const line = document.createElement("li");
  const rule = document.createElement("strong");
  const text = document.createElement("span");
  const since = document.createElement("span");
  line.dataset.alert = alert.id;
  rule.textContent = alert.name;
  showWithCode(text, alert.text);
  since.className = "hint";
  since.textContent = _("since {raised_ms}", { raised_ms: localTime(alert.since) });
  line.append(rule, " ", text, " ", since);
  return line;
}

/** Two short tones; browsers allow them only where somebody has used the page. */
function sound() {
  if (!navigator.userActivation?.hasBeenActive) return;
  const audio = new AudioContext();
  for (const at of [0, 0.3]) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    volume.gain.value = 0.15;
    tone.frequency.value = 660;
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.18);
  }
  setTimeout(() => audio.close(), 1000);
}

/** Show the message `alerts` of the feed. */
export function showAlerts(message) {
  const banner = document.getElementById("alert-banner");
  if (!banner) return;
  const unseen = message.open.filter((alert) => !alert.acknowledged).reverse();
  const numbers = unseen.map((alert) => alert.id);
  const isNew = known !== null && numbers.some((id) => !known.has(id));
  const shown = JSON.stringify(numbers);
  known = new Set(numbers);
  if (banner.dataset.shown !== shown) {
    banner.dataset.shown = shown;
    document.getElementById("alert-lines").replaceChildren(...unseen.slice(0, SHOWN).map(lineOf));
    document.getElementById("alert-link").textContent = unseen.length > SHOWN ? _("All {unseen} alerts", { unseen: unseen.length }) : _("Alerts");
    banner.hidden = unseen.length === 0;
  }
  if (isNew && message.sound) sound();
}

function close() {
  source?.close();
  source = null;
}

function open() {
  close();
  if (document.hidden) return;
  source = new EventSource("/api/v1/live?only=alerts");
  source.addEventListener("alerts", (event) => showAlerts(JSON.parse(event.data)));
}

document.addEventListener("DOMContentLoaded", () => {
  if (isFedByPage || !document.getElementById("alert-banner")) return;
  document.addEventListener("visibilitychange", open);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => event.persisted && open());
  open();
});
