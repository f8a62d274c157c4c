// The agent's part of the health page, filled from the live feed.

import { followFeed } from "./feed.js";
import { localTime } from "./page.js";

const byId = (id) => document.getElementById(id);
const known = (value, write) => (value === null || value === undefined ? null : write(value));

const REASONS = { budget: "processor budget", heat: "heat" };

/** What is shown, one line a tile: name, and how to read it from the message; null leaves the tile out. */
const TILES = [
  ["Running for", (h) => known(h.uptime_seconds, duration)],
  ["Frames per second", (h) => known(h.camera?.fps, (v) => v.toFixed(1))],
  ["Frame rate limit", (h) => known(h.camera?.fps_limit, (v) => `${v.toFixed(1)} per second (${REASONS[h.camera.limited_by]})`)],
  ["Age of the last frame", (h) => known(h.camera?.frame_age_seconds, (v) => `${v.toFixed(1)} s`)],
  ["Frames dropped", (h) => known(h.camera?.frames_dropped, (v) => v.toLocaleString())],
  ["Processor", (h) => known(h.temperature_celsius, (v) => `${v.toFixed(0)} °C`)],
  ["Load, 1 min", (h) => known(h.load_1_minute, (v) => v.toFixed(2))],
  ["Disk free", (h) => known(h.disk?.free_bytes, size)],
  ["Memory of the agent", (h) => known(h.memory?.process_bytes, size)],
  ["Rows waiting", (h) => known(h.recorder?.queue_depth, (v) => v.toLocaleString())],
  ["Rows lost", (h) => known(h.recorder?.rows_dropped, (v) => v.toLocaleString())],
  ["Last good copy", (h) => known(h.copies, ({ last_good_age_seconds: age }) => (age === null ? "none" : `${duration(age)} ago`))],
  ["MQTT", (h) => known(h.mqtt?.state, (v) => v)],
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

function show(health) {
  const tiles = TILES.map(([name, read]) => [name, read(health)]).filter(([, value]) => value !== null);
  tiles.push(...(health.sensors ?? []).map(sensorTile));
  byId("agent-tiles").replaceChildren(
    ...tiles.map(([name, value]) => {
      const tile = element("div", "tile", "");
      tile.append(element("div", "tile-name", name), element("div", "tile-value", value));
      return tile;
    }),
  );
  byId("alarms").replaceChildren(
    ...(health.alarms ?? []).map((alarm) => element("li", "notice notice-bad", alarm.text)),
  );
  byId("agent-at").textContent = `Reported at ${localTime(Date.parse(health.at) || Number(health.at), "time")}`;
}

followFeed({ health: show }, (state) => {
  if (state === "offline") byId("agent-tiles").replaceChildren();
});
