// The live feed: one event stream for the page, paused while the page is hidden. The dashboard tells its clock each
// second and the agent speaks each second: whoever is silent for longer is called so.

import { feedAlerts, showAlerts } from "./alerts.js";
import { _ } from "./messages.js";
import { deviceNow, localTime, setDeviceClock, span } from "./page.js";

const SILENT_MS = 2400;
const FIRST_MS = 8000; // a slow phone that still draws the page hears its first word late: no reason for an alarm
const LOOK_MS = 250;
const BUSY_MS = 1000; // a page that was drawing for so long has not heard yet what came meanwhile
const REOPEN_MS = 4000;
const SLEPT_MS = 3000; // a page that was frozen, or whose machine slept, did not look for this long
const SKEW_MS = 5000;
const SPOKEN_BY_THE_AGENT = ["expression", "vital", "health", "state"];
// listed here: what this page itself knows of its feed
const AGENT_STATES = {
  connecting: [_("connecting"), "", ""],
  online: [_("agent running"), "badge-good", ""],
  silent: [_("agent not answering"), "badge-bad", _("The agent does not answer. Its last values are hidden, and it may not be recording. If this lasts, restart it.")],
  offline: [_("agent offline"), "badge-bad", ""],
  lost: [_("dashboard not reachable"), "badge-bad", _("The dashboard cannot be reached. Nothing on this page is current. It reconnects by itself.")],
};

function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function showState(name) {
  const [text, style, notice] = AGENT_STATES[name];
  const badge = document.getElementById("agent-state");
  setText(badge, text);
  badge.className = `badge badge-dot ${style}`;
  badge.dataset.state = name;
  // until the feed speaks, the page's own word counts; while the dashboard is lost, its place is kept: nothing jumps
  const offline = document.getElementById("offline-notice");
  if (!["connecting", "lost"].includes(name)) offline.hidden = name !== "offline";
  offline.style.visibility = name === "lost" ? "hidden" : "";
  const lost = document.getElementById("lost-notice");
  lost.hidden = notice === "";
  setText(lost, notice);
}

/** Say that somebody sees the camera's picture: on every page, to everybody. The demonstration's shows nobody. */
function showPreview(preview, name, isSimulated) {
  const notice = document.getElementById("preview-notice");
  if (!notice) return;
  notice.hidden = !preview?.by || name !== "online" || isSimulated;
  if (!notice.hidden) {
    setText(notice, _("Preview: {name} sees the camera’s picture, until {time}. It is not stored.", { name: preview.by, time: localTime(preview.until, "time") }));
  }
}

/** Say by how much the browser's clock differs from the device's; all times of the page are the device's. */
function showSkew() {
  const skew = Date.now() - deviceNow();
  const notice = document.getElementById("clock-notice");
  notice.hidden = Math.abs(skew) < SKEW_MS;
  if (notice.hidden) return;
  const places = { span: span(Math.abs(skew)), time: localTime(deviceNow(), "short") };
  setText(
    notice,
    skew > 0
      ? _("This browser’s clock is {span} ahead of the device’s clock, which says {time}. Times here are the device’s. Correct the wrong clock.", places)
      : _("This browser’s clock is {span} behind the device’s clock, which says {time}. Times here are the device’s. Correct the wrong clock.", places),
  );
}

/** Call handlers[type](message) for each live message; onState(name) when the agent or the dashboard comes or goes. */
export function followFeed(handlers, onState = () => {}) {
  let source = null;
  let opened = 0;
  let connected = null; // when this connection brought its first word
  let hasFailed = false;
  let wasHeard = false; // at any time since this page was opened
  let clockHeard = null;
  let agentHeard = null;
  let isOffline = false;
  let preview = null;
  let isSimulated = false; // whether the camera is the demonstration's, as the agent says with each picture
  let shown = "";
  let looked = Date.now();
  let ticked = performance.now();

  const isFresh = (heard) => heard !== null && performance.now() - heard < SILENT_MS;

  function standing() {
    if (!isFresh(clockHeard)) {
      const isNew = !hasFailed && performance.now() - opened < (wasHeard ? SILENT_MS : FIRST_MS);
      return isNew && ["", "connecting"].includes(shown) ? "connecting" : "lost";
    }
    if (isOffline) return "offline";
    if (isFresh(agentHeard)) return "online";
    return isFresh(connected) ? "connecting" : "silent";
  }

  /** Begin anew after a sleep: what the browser kept until now is of before, and so is the clock. */
  function beginAnew() {
    looked = Date.now();
    close();
    clockHeard = null;
    shown = "";
    if (!document.hidden) open();
  }

  function look() {
    const slept = Math.abs(Date.now() - looked) > SLEPT_MS;
    looked = Date.now();
    if (document.hidden) return;
    if (slept) beginAnew();
    const wasBusy = performance.now() - ticked > BUSY_MS;
    ticked = performance.now();
    if (wasBusy && !slept) return;
    const name = standing();
    showPreview(preview, name, isSimulated);
    if (name !== shown) {
      shown = name;
      showState(name);
      onState(name);
    }
    if (name === "lost" && performance.now() - opened > REOPEN_MS) open();
  }

  function hear(message) {
    const at = typeof message.at === "string" ? Date.parse(message.at) : message.at;
    if (Math.abs(deviceNow() - at) > SILENT_MS) return; // what was said before this page listened
    agentHeard = performance.now();
    isOffline = false;
  }

  function listen(type, use) {
    source.addEventListener(type, (event) => {
      use(JSON.parse(event.data));
      look();
    });
  }

  function open() {
    close();
    opened = performance.now();
    connected = null;
    hasFailed = false;
    source = new EventSource("/api/v1/live");
    listen("clock", ({ at }) => {
      clockHeard = performance.now();
      connected ??= clockHeard;
      wasHeard = true;
      setDeviceClock(at);
      showSkew();
    });
    listen("agent", ({ state }) => {
      isOffline = state !== "online";
      if (isOffline) agentHeard = null;
      preview = null; // the preview of the agent's last run is out of date
      isSimulated = false;
    });
    listen("preview", (message) => {
      preview = message;
    });
    listen("expression", ({ simulated }) => {
      isSimulated = simulated === true;
    });
    for (const type of SPOKEN_BY_THE_AGENT) listen(type, hear);
    listen("alerts", showAlerts);
    for (const [type, handler] of Object.entries(handlers)) listen(type, handler);
    source.onerror = onError;
  }

  async function onError() {
    clockHeard = null;
    hasFailed = true;
    look();
    if (source?.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
    const answer = await fetch("/api/v1/session").catch(() => null);
    if (answer?.status === 401) window.location.reload(); // the login has ended
  }

  function close() {
    source?.close();
    source = null;
    agentHeard = null;
  }

  feedAlerts();
  document.addEventListener("visibilitychange", beginAnew);
  document.addEventListener("resume", beginAnew);
  window.addEventListener("pagehide", close);
  setInterval(look, LOOK_MS);
  open();
  look();
}
