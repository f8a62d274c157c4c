// The agent's part of the health page, filled from the live feed.

import { followFeed } from "./feed.js";
import { ago, deviceNow, localTime } from "./page.js";
import { Standing, brokerState } from "./standing.js";

const byId = (id) => document.getElementById(id);
const known = (value, write) => (value === null || value === undefined ? null : write(value));

const REASONS = { budget: "processor budget", heat: "heat" };
const EFFORTS = { every_frame: "all", by_need: "as needed", sparing: "sparingly: processor budget" };

/** What is shown, one line a tile: name, and how to read it from the message; null leaves the tile out. */
const TILES = [
  ["Running for", (h) => known(h.uptime_seconds, duration)],
  ["Frames per second", (h) => known(h.camera?.fps, (v) => v.toFixed(1))],
  ["Faces read in", (h) => known(h.camera?.readings_per_second, (v) => `${v.toFixed(1)} of them (${EFFORTS[h.camera.effort]})`)],
  ["Frame rate limit", (h) => known(h.camera?.fps_limit, (v) => `${v.toFixed(1)} per second (${REASONS[h.camera.limited_by]})`)],
  ["Age of the last frame", (h, now) => known((now ?? h).camera?.frame_age_seconds, (v) => `${v.toFixed(1)} s`)],
  ["Frames dropped", (h) => known(h.camera?.frames_dropped, (v) => v.toLocaleString())],
  ["Processor", (h) => known(h.temperature_celsius, (v) => `${v.toFixed(0)} °C`)],
  ["Load, 1 min", (h) => known(h.load_1_minute, (v) => v.toFixed(2))],
  ["Disk free", (h) => known(h.disk?.free_bytes, size)],
  ["Memory of the agent", (h) => known(h.memory?.process_bytes, size)],
  ["Rows waiting", (h) => known(h.recorder?.queue_depth, (v) => v.toLocaleString())],
  ["Rows lost", (h) => known(h.recorder?.rows_dropped, (v) => v.toLocaleString())],
  ["Last good copy", (h) => known(h.copies, ({ last_good_age_seconds: age }) => (age === null ? "none" : `${duration(age)} ago`))],
  ["MQTT", (h, now) => known((now?.broker ?? h.mqtt)?.state, (v) => brokerState(v)[0])],
  ["Power", (h) => known(h.throttling, (t) => (t.under_voltage ? "too low" : t.under_voltage_since_start ? "was too low" : "good"))],
  ["Clock", (h) => known(h.clock_synchronised, (v) => (v ? "set by network" : "not synchronised"))],
];

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} d`;
}

function size(bytes) {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A tile for each Bluetooth sensor: connected or not, contact, battery. */
function sensorTile({ source, connected, contact, battery_percent: battery }) {
  const said = [connected ? "connected" : "away"];
  if (contact === false) said.push("no contact");
  if (battery !== null) said.push(`battery ${battery} %`);
  return [`Sensor ${source.replace(/^ble:/, "")}`, said.join(", ")];
}

const standing = new Standing();
let report = null; // the newest of the agent, which it gives each minute and when an alarm changes

/** What stands below the tiles: when the agent said it, and how long that is ago. */
function written() {
  const at = Date.parse(report.at) || Number(report.at);
  const when = `${localTime(at, "time")}, ${ago(deviceNow() - at)}`;
  return standing.feed === "online" ? `Reported at ${when}` : `Not of now: last reported at ${when}`;
}

function tile(name, value) {
  const made = element("div", "tile", "");
  const isNow = standing.feed === "online";
  made.append(element("div", "tile-name", name), element("div", "tile-value", isNow ? value : "–"));
  if (!isNow) made.append(element("div", "tile-note", `was ${value}`));
  return made;
}

function show() {
  byId("agent-empty").hidden = report !== null;
  if (report === null) return;
  const now = standing.feed === "online" ? standing.message : null;
  const tiles = TILES.map(([name, read]) => [name, read(report, now)]).filter(([, value]) => value !== null);
  tiles.push(...(report.sensors ?? []).map(sensorTile));
  byId("agent-tiles").replaceChildren(...tiles.map(([name, value]) => tile(name, value)));
  const alarms = standing.feed === "online" ? (report.alarms ?? []).map((alarm) => alarm.text) : [];
  const text = JSON.stringify(alarms);
  if (byId("alarms").dataset.shown !== text) {
    byId("alarms").dataset.shown = text;
    byId("alarms").replaceChildren(...alarms.map((alarm) => element("li", "notice notice-bad", alarm)));
  }
  byId("agent-at").textContent = written();
}

followFeed(
  {
    health: (message) => {
      report = message;
      show();
    },
    state: (message) => {
      standing.hear(message);
      show();
    },
  },
  (name) => {
    standing.feed = name;
    if (name !== "online") standing.message = null;
    show();
  },
);
setInterval(() => document.hidden || show(), 1000);
