// The agent's part of the health page, filled from the live feed: what is wrong first and large, then what one wants to
// know each day, then the rest, folded.

import { followFeed } from "./feed.js";
import { _, figure, memberOf, thousands, told } from "./messages.js";
import { ago, deviceNow, localTime, showWithCode } from "./page.js";
import { Standing } from "./standing.js";

const byId = (id) => document.getElementById(id);
const known = (value, write) => (value === null || value === undefined ? null : write(value));

/**
 * What is shown, one line a tile: name, how to read it from the message (null leaves the tile out), what it tells in a
 * sentence, the alarms that are about it, and what to do where it is in doubt before one is raised ("": it is not). While
 * an alarm or doubt lasts, the tile stands first and says that instead; a doubt keeps its colour when its alarm is raised.
 */
const FIRST = [
  [_("Frames per second"), (h) => known(h.camera?.fps, (v) => figure(v, 1)), _("Pictures that the camera gives now."), ["camera"]],
  [_("Disk free"), (h) => known(h.disk?.free_bytes, size), _("Space for recordings and copies."), ["disk_low", "disk_gone", "disk_budget", "disk_budget_exceeded", "aside_files"]],
  [_("Rows lost"), (h) => known(h.recorder?.rows_dropped, (v) => thousands(v)), _("Could not be written. It should be 0."), ["rows_dropped", "rows_set_aside"]],
  [_("Last good copy"), (h) => known(h.copies, ({ last_good_age_seconds: age }) => (age === null ? _("none yet") : _("{span} ago", { span: duration(age) }))), (h) => (h.copies?.last_good_age_seconds === null ? _("The nightly maintenance makes the first. An alert comes when it is overdue.") : _("If the disk fails, what came after it is lost.")), ["copy_failed", "copy_smaller", "copy_old", "copy_also_failed"]],
  ["MQTT", (h, now) => known((now?.broker ?? h.mqtt)?.state, (v) => memberOf("brokers", v).says), _("The connection to the broker."), ["broker_away", "message_too_large", "message_set_aside"]],
  [_("Waiting for the collector"), (h) => known(h.fleet?.waiting, (v) => thousands(v)), _("Changes that the collector does not have yet."), ["fleet", "fleet_backlog_full"]],
  [_("Clock"), (h) => known(h.clock_synchronised, (v) => (v ? _("set by network") : _("not in sync"))), _("Only a clock that is set by the network is right."), ["clock_not_synchronised", "clock_not_believed"], (h) => (h.clock_synchronised ? "" : _("The clock has not been set from the network since the machine started, so times may be wrong. Connect to a network or fit a clock module."))],
];
const REST = [
  [_("Running for"), (h) => known(h.uptime_seconds, duration), _("Since the agent was started.")],
  [_("Age of the last frame"), (h, now) => known((now ?? h).camera?.frame_age_seconds, (v) => `${figure(v, 1)} s`), _("More than a few seconds: the camera hangs."), ["frame_stale"]],
  [_("Faces read in"), (h) => known(h.camera?.readings_per_second, (v) => _("{rate} of them ({effort})", { rate: figure(v, 1), effort: memberOf("efforts", h.camera.effort).says })), _("Frames per second in which faces are read; the others need no reading.")],
  [_("Frame rate limit"), (h) => known(h.camera?.fps_limit, (v) => _("{rate} per second ({reason})", { rate: figure(v, 1), reason: memberOf("limits", h.camera.limited_by).says })), _("Fewer frames are read, to spare the processor.")],
  [_("Frames dropped"), (h) => known(h.camera?.frames_dropped, (v) => thousands(v)), _("Skipped because a newer one was there.")],
  [_("Processor"), (h) => known(h.temperature_celsius, (v) => `${figure(v, 0)} °C`), _("It slows itself down when it is too hot."), ["hot", "throttled"]],
  [_("Load, 1 min"), (h) => known(h.load_1_minute, (v) => figure(v, 2)), _("Programs that wanted the processor at once.")],
  [_("Memory of the agent"), (h) => known(h.memory?.process_bytes, size), _("What the agent holds in memory now.")],
  [_("Rows waiting"), (h) => known(h.recorder?.queue_depth, (v) => thousands(v)), _("Not yet written to the disk."), ["store", "store_read", "commit_stale"]],
  [_("Power supply"), (h) => known(h.throttling, (t) => (t.under_voltage ? _("too low") : t.under_voltage_since_start ? _("was too low") : _("good"))), _("Too little voltage damages what is on the card."), ["under_voltage", "was_under_voltage"]],
];

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} d`;
}

function size(bytes) {
  return bytes >= 1e9 ? `${figure(bytes / 1e9, 1)} GB` : `${figure(bytes / 1e6, 0)} MB`;
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
  return { name: _("Sensor {name}", { name: source.replace(/^ble:/, "") }), value: said.join(", "), note: _("A Bluetooth sensor, as it is now."), alarms: [], cure: "" };
}

const standing = new Standing();
let report = null; // the newest of the agent, which it gives each minute and when an alarm changes

/** What stands below the tiles: when the agent said it, and how long that is ago. */
function written() {
  const at = Date.parse(report.at) || Number(report.at);
  const when = `${localTime(at, "time")}, ${ago(deviceNow() - at)}`;
  return standing.feed === "online" ? _("Reported at {when}", { when }) : _("Not current: last reported at {when}", { when });
}

/** The tiles of a list of which something is known: {name, value, note, alarms, cure}; of the alarms that stand. */
function tilesOf(list, standingAlarms) {
  const isNow = standing.feed === "online";
  const tiles = list.map(([name, read, note, about = [], doubt = () => ""]) => ({
    name,
    value: read(report, isNow ? standing.message : null),
    note: typeof note === "string" ? note : note(report),
    alarms: standingAlarms.filter((alarm) => about.includes(alarm.name)),
    cure: isNow ? doubt(report) : "",
  }));
  return tiles.filter(({ value }) => value !== null);
}

function tile({ name, value, note, alarms, cure }) {
  const made = element("div", cure ? "tile is-doubtful" : "tile", "");
  const isNow = standing.feed === "online";
  made.append(element("div", "tile-name", name), element("div", "tile-value", isNow ? value : "–"));
  const below = element("div", "tile-note", "");
  showWithCode(below, !isNow ? _("was {value}", { value }) : alarms.length ? alarms.map(({ text }) => told(text, report)).join(" ") : cure || note);
  made.append(below);
  return made;
}

/** Show the alarms that no tile tells of. */
function showAlarms(alarms) {
  const texts = alarms.map(({ text }) => told(text, report));
  const shown = JSON.stringify(texts);
  if (byId("alarms").dataset.shown === shown) return;
  byId("alarms").dataset.shown = shown;
  const lines = texts.map((text) => {
    const line = element("li", "notice notice-bad", "");
    showWithCode(line, text);
    return line;
  });
  byId("alarms").replaceChildren(...lines);
}

function show() {
  byId("agent-empty").hidden = report !== null;
  if (report === null) return;
  const isNow = standing.feed === "online";
  const alarms = isNow ? (report.alarms ?? []) : [];
  const first = [...tilesOf(FIRST, alarms), ...(report.sensors ?? []).map(sensorTile)];
  const rest = tilesOf(REST, alarms);
  const isWell = (one) => one.alarms.length === 0 && !one.cure;
  const wrong = [...first, ...rest].filter((one) => !isWell(one)).sort((a, b) => b.alarms.length - a.alarms.length);
  const groups = { "tiles-wrong": wrong, "tiles-first": first.filter(isWell), "tiles-rest": rest.filter(isWell) };
  for (const [id, tiles] of Object.entries(groups)) byId(id).replaceChildren(...tiles.map(tile));
  showAlarms(alarms.filter((alarm) => !wrong.some((one) => one.alarms.includes(alarm))));
  byId("agent-well").hidden = !isNow || alarms.length > 0 || wrong.length > 0;
  byId("tiles-fold").hidden = false;
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
