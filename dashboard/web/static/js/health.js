// The agent's part of the health page, filled from the live feed.

import { followFeed } from "./feed.js";
import { _, figure, thousands, told } from "./messages.js";
import { ago, deviceNow, localTime } from "./page.js";
import { Standing, brokerState } from "./standing.js";

const byId = (id) => document.getElementById(id);
const known = (value, write) => (value === null || value === undefined ? null : write(value));

const REASONS = { budget: _("processor budget"), heat: _("heat") };
const EFFORTS = { every_frame: _("all"), by_need: _("as needed"), sparing: _("reduced: processor budget") };

/** What is shown, one line a tile: name, and how to read it from the message; null leaves the tile out. */
const TILES = [
  [_("Running for"), (h) => known(h.uptime_seconds, duration)],
  [_("Frames per second"), (h) => known(h.camera?.fps, (v) => figure(v, 1))],
  [_("Faces read in"), (h) => known(h.camera?.readings_per_second, (v) => _("{rate} of them ({effort})", { rate: figure(v, 1), effort: EFFORTS[h.camera.effort] }))],
  [_("Frame rate limit"), (h) => known(h.camera?.fps_limit, (v) => _("{rate} per second ({reason})", { rate: figure(v, 1), reason: REASONS[h.camera.limited_by] }))],
  [_("Age of the last frame"), (h, now) => known((now ?? h).camera?.frame_age_seconds, (v) => `${figure(v, 1)} s`)],
  [_("Frames dropped"), (h) => known(h.camera?.frames_dropped, (v) => thousands(v))],
  [_("Processor"), (h) => known(h.temperature_celsius, (v) => `${v.toFixed(0)} °C`)],
  [_("Load, 1 min"), (h) => known(h.load_1_minute, (v) => figure(v, 2))],
  [_("Disk free"), (h) => known(h.disk?.free_bytes, size)],
  [_("Memory of the agent"), (h) => known(h.memory?.process_bytes, size)],
  [_("Rows waiting"), (h) => known(h.recorder?.queue_depth, (v) => thousands(v))],
  [_("Rows lost"), (h) => known(h.recorder?.rows_dropped, (v) => thousands(v))],
  [_("Last good copy"), (h) => known(h.copies, ({ last_good_age_seconds: age }) => (age === null ? _("none") : _("{span} ago", { span: duration(age) })))],
  ["MQTT", (h, now) => known((now?.broker ?? h.mqtt)?.state, (v) => brokerState(v)[0])],
  [_("Waiting for the collector"), (h) => known(h.fleet?.waiting, (v) => thousands(v))],
  [_("Power supply"), (h) => known(h.throttling, (t) => (t.under_voltage ? _("too low") : t.under_voltage_since_start ? _("was too low") : _("good")))],
  [_("Clock"), (h) => known(h.clock_synchronised, (v) => (v ? _("set by network") : _("not in sync")))],
];

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} d`;
}

function size(bytes) {
  return bytes >= 1e9 ? `${figure(bytes / 1e9, 1)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A tile for each Bluetooth sensor: connected or not, contact, battery. */
function sensorTile({ source, connected, contact, battery_percent: battery }) {
  const said = [connected ? _("connected") : _("away")];
  if (contact === false) said.push(_("no contact"));
  if (battery !== null) said.push(_("battery {share} %", { share: battery }));
  return [_("Sensor {name}", { name: source.replace(/^ble:/, "") }), said.join(", ")];
}

const standing = new Standing();
let report = null; // the newest of the agent, which it gives each minute and when an alarm changes

/** What stands below the tiles: when the agent said it, and how long that is ago. */
function written() {
  const at = Date.parse(report.at) || Number(report.at);
  const when = `${localTime(at, "time")}, ${ago(deviceNow() - at)}`;
  return standing.feed === "online" ? _("Reported at {when}", { when }) : _("Not current: last reported at {when}", { when });
}

function tile(name, value) {
  const made = element("div", "tile", "");
  const isNow = standing.feed === "online";
  made.append(element("div", "tile-name", name), element("div", "tile-value", isNow ? value : "–"));
  if (!isNow) made.append(element("div", "tile-note", _("was {value}", { value })));
  return made;
}

function show() {
  byId("agent-empty").hidden = report !== null;
  if (report === null) return;
  const now = standing.feed === "online" ? standing.message : null;
  const tiles = TILES.map(([name, read]) => [name, read(report, now)]).filter(([, value]) => value !== null);
  tiles.push(...(report.sensors ?? []).map(sensorTile));
  byId("agent-tiles").replaceChildren(...tiles.map(([name, value]) => tile(name, value)));
  const alarms = standing.feed === "online" ? (report.alarms ?? []).map((alarm) => told(alarm.text, report)) : [];
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
