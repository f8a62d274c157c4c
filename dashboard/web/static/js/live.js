// The live page: the present expression, vital signs, and the open session.

import { Band } from "./band.js";
import { showCapture } from "./capture.js";
import { showChecklist } from "./checklist.js";
import { followFeed } from "./feed.js";
import { seatOf, showFraming, zoneOf } from "./framing.js";
import { _, between, figure, memberOf, nearest, ngettext, said } from "./messages.js";
import { MovementBars, poseText } from "./movements.js";
import { ago, deviceNow, showWithCode, span } from "./page.js";
import { Plane } from "./plane.js";
import { bindSession } from "./session.js";
import { Standing } from "./standing.js";
import { Strip } from "./strip.js";
import { VitalTiles } from "./vitals.js";

const SPEAK_MS = 4000;
const LOOK_MS = 250;
const UNREAD_MS = 1000; // one frame that is blurred is no news
const SPARK_MS = 300000;
const VARIABILITY_OLD_MS = 30000; // it is sent every five seconds
const COMMIT_MS = 12000; // the recorder writes every ten seconds
const byId = (id) => document.getElementById(id);
const percent = (value) => `${Math.round(value * 100)} %`;
const start = JSON.parse(byId("live-start").textContent);
if (start.least !== null) document.getElementById("bars").style.setProperty("--least", `${100 * start.least}%`);
let variability = null;

const bars = new Map([...byId("bars").children].map((line) => [line.dataset.emotion, line]));
const band = new Band(byId("band"), byId("band-names"));
const movements = new MovementBars(byId("movements"), start.movements);
const strip = new Strip(byId("strip"), byId("strip-text"), [...bars.keys()], start.strip);
const vitals = new VitalTiles(
  { first: byId("vitals-first"), others: byId("vitals"), section: byId("vitals-more"), empty: byId("vitals-empty") },
  start.kinds,
  start.first,
  start.vitals,
  start.unusable,
);
const plane = new Plane(byId("plane"), byId("plane-none"), start.unusable);
const standing = new Standing();
const session = bindSession(start.session);
for (const message of start.vitals) plane.hear(message);
plane.setRest(start.rest, session.number() !== null);
let spoken = { text: "", at: 0 };
let last = null; // the newest expression, and when it came
let readAt = 0; // when a face could be read last
let health = null;
let isPreviewed = false; // whether an administrator sees the picture

function speak(text) {
  if (text === spoken.text || performance.now() - spoken.at < SPEAK_MS) return;
  spoken = { text, at: performance.now() };
  byId("now-spoken").textContent = text;
}

function showLabel(label, detail, emotion) {
  byId("now-label").textContent = label;
  byId("now-detail").textContent = detail;
  byId("now-swatch").dataset.emotion = emotion ?? "";
  speak(label);
}

function showBars(probabilities) {
  band.show(probabilities);
  for (const [name, line] of bars) {
    const value = probabilities?.[name];
    line.querySelector(".bar-fill").style.width = value === undefined ? "0" : `${value * 100}%`;
    line.querySelector(".bar-value").textContent = value === undefined ? "–" : percent(value);
  }
}

function showValence(value) {
  const knob = byId("valence-knob");
  knob.hidden = value === null;
  if (value !== null) knob.style.left = `${(value + 1) * 50}%`;
  byId("valence-value").textContent = value === null ? "–" : figure(value, 2);
}

function showPlace(message) {
  const { width, height } = message.frame;
  const place = byId("place");
  place.setAttribute("viewBox", `0 0 ${width} ${height}`);
  place.replaceChildren(
    zoneOf(message.frame),
    ...seatOf(place.dataset.seat, message.frame),
    ...message.faces.map((face) => {
      const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const [x, y, w, h] = face.box;
      const values = { x: x * width, y: y * height, width: w * width, height: h * height, rx: width * 0.02 };
      for (const [name, value] of Object.entries(values)) box.setAttribute(name, String(value));
      box.setAttribute("class", face.primary ? "face face-primary" : "face");
      return box;
    }),
  );
  const count = message.faces.length;
  let text = _("No face in the picture.");
  if (count > 0 && notKnown(message)) text = ngettext("One face in the picture; it is not known whose it is.", "{n} faces in the picture; it is not known whose they are.", count);
  else if (count > 0) text = ngettext("One face in the picture.", "{n} faces; the participant’s has the thick frame.", count);
  if (message.faces.some((face) => face.picture)) text += ` ${_("A face among them is a picture: it has shown no life, and counts as nobody’s.")}`;
  setPlaceText(`${text} ${isPreviewed ? whoSees() : _("No picture leaves the agent.")}`);
}

/** The face that is followed though the evidence is lacking that `vision.whose` asks for. */
function notKnown(message) {
  return message.faces.find((face) => face.attribution === "unknown");
}

/** Why there is no face of the participant. */
function whyNobody(message) {
  if (notKnown(message)?.picture) return _("A picture is in view, and nobody’s face");
  return notKnown(message) ? _("It is not known whose face it is") : _("No face in the picture");
}

/** Who sees the picture, of a real camera or of the demonstration's. */
function whoSees() {
  return last.message.simulated ? _("The demonstration shows its picture.") : _("An administrator sees the picture.");
}

function setPlaceText(text) {
  if (byId("place-text").textContent !== text) byId("place-text").textContent = text;
}

/** Show where the head is turned and what moves; null: not read. */
function showMovements(face) {
  movements.show(face?.movements ?? null);
  const text = face?.pose ? poseText(face.pose) : "–";
  if (byId("pose").textContent !== text) byId("pose").textContent = text;
}

/** Show that nothing is known now, and why. */
function showNothing(reason) {
  showLabel("–", reason, null);
  byId("now-age").textContent = "";
  showBars(null);
  showValence(null);
  showMovements(null);
}

/** Which category is nearest, and what a name needs, where that is known and not the same rounded. */
function whyNoName(probability, emotion) {
  const share = percent(probability);
  const least = start.least === null || probability >= start.least ? share : percent(start.least);
  if (least === share) return _("Nearest: {emotion}, {share}; too little for a name", { emotion, share });
  return _("Nearest: {emotion} ({share}; a name needs {least})", { emotion, share, least });
}

function showFace(face) {
  const label = face.emotion ?? "uncertain";
  const category = face.emotion ?? nearest(face.smoothed);
  const share = percent(face.smoothed[category]);
  const detail = face.emotion
    ? _("{share} of the smoothed probability", { share })
    : whyNoName(face.smoothed[category], said(category));
  showLabel(said(label), detail, label);
  showBars(face.smoothed);
  showValence(face.valence ?? null);
  showMovements(face);
}

function onExpression(message) {
  const now = performance.now();
  last = { message, came: now };
  byId("camera-simulated").hidden = !(message.simulated ?? start.simulated);
  byId("live").dataset.simulated = message.simulated === true; // by the agent's own word: see preview.js
  const face = message.faces.find((candidate) => candidate.primary);
  const isRead = face && !face.flaw;
  if (isRead) readAt = now;
  plane.see(message.at, isRead ? face.valence : null);
  const label = isRead ? (face.emotion ?? "uncertain") : null;
  strip.add(message.at, isRead ? face.smoothed : null, notKnown(message) ? "not known" : label);
  show();
}

/** Milliseconds since the newest expression was seen. */
function ageOfLast() {
  return Math.max(deviceNow() - last.message.at, performance.now() - last.came);
}

/** Why nothing is shown as present; empty while pictures come and are read. */
function whyNothing() {
  if (standing.reason) return standing.reason;
  if (last === null) return _("No picture yet");
  if (ageOfLast() > standing.lateMs) return _("No picture was read for {span}", { span: span(ageOfLast()) });
  return "";
}

/** What the newest picture says of face and light, and whether that is good; null without one of now. */
function faceNow(reason) {
  if (reason) return null;
  // Whether a face can be read does not depend on whose it is, which before a session nobody can declare.
  const face = last.message.faces.find((candidate) => candidate.primary) ?? notKnown(last.message);
  if (!face) return [_("No face in the picture"), false];
  return face.flaw ? [memberOf("flaws", face.flaw).says, false] : [_("the face is read"), true];
}

function show() {
  const reason = whyNothing();
  showChecklist({ list: byId("checklist"), fold: byId("checklist-fold"), badge: byId("checklist-sum") }, { standing, face: faceNow(reason), latest: vitals.latest, health });
  byId("live").classList.toggle("is-offline", reason !== "");
  standing.show(byId("standing"));
  // The alert over the page says it as well, until somebody acknowledges it.
  const isAlerted = byId("alert-lines")?.textContent.includes(standing.cause.replaceAll("`", "")) ?? false;
  byId("camera-notice").hidden = standing.cause === "" || isAlerted;
  showWithCode(byId("camera-notice"), standing.cause);
  showCapture(standing);
  session.showRecording(reason);
  vitals.show(standing.feed === "online" ? "" : standing.reason, standing.feed === "connecting");
  if (reason) {
    showNothing(reason);
    byId("place").replaceChildren();
    showFraming(byId("framing"), byId("framing-ready"), null, null);
    setPlaceText(`${reason}.`);
    return;
  }
  const { message } = last;
  showPlace(message);
  const face = message.faces.find((candidate) => candidate.primary);
  showFraming(byId("framing"), byId("framing-ready"), face ?? notKnown(message), message.frame);
  if (!face) showNothing(whyNobody(message));
  else if (!face.flaw) showFace(face);
  else if (performance.now() - readAt > UNREAD_MS) showNothing(memberOf("flaws", face.flaw).says);
  byId("now-age").textContent = face ? `· ${ago(ageOfLast())}` : "";
}

/** Fill strip and small lines with what was recorded while this page did not listen. */
async function fillIn() {
  const end = Math.round(deviceNow());
  const [seen, read] = await Promise.all(
    ["/api/v1/live/recent", `/api/v1/trends?start=${end - SPARK_MS}&end=${end}&buckets=60`].map((path) => fetch(path).catch(() => null)),
  );
  if (seen?.ok) strip.fill(await seen.json());
  if (read?.ok) vitals.fill((await read.json()).vitals);
}

/** Say the variability of the heart over five minutes, or why there is no number; nothing once no beats come. */
function showVariability() {
  const place = byId("variability");
  place.hidden = !variability || deviceNow() - Date.parse(variability.at) > VARIABILITY_OLD_MS;
  if (place.hidden) return;
  const { rmssd_ms: rmssd, low_ms: low, high_ms: high } = variability;
  const places = { rmssd: figure(rmssd ?? 0, 0), range: between(figure(low ?? 0, 0), figure(high ?? 0, 0)), share: percent(variability.share) };
  let text = _("Heart-rate variability (RMSSD): good beats fill {share} of the last five minutes; a number needs 80 %.", places);
  if (rmssd !== null && low === null) text = _("Heart-rate variability (RMSSD) of the last five minutes: {rmssd} ms. Good beats fill {share} of them.", places);
  if (rmssd !== null && low !== null) text = _("Heart-rate variability (RMSSD) of the last five minutes: {rmssd} ms; by the errors of its beats the true one is {range} ms (95 %). Good beats fill {share} of them.", places);
  place.textContent = text;
}

function onState(name) {
  standing.feed = name;
  if (name !== "online") standing.message = null;
  show();
  if (name !== "online") return;
  fillIn();
  setTimeout(fillIn, COMMIT_MS);
  session.sendWaiting();
}

/** Ask for the heart rate at rest: of an open session, and only while a strap sends. */
async function refreshRest() {
  if (session.number() === null || !plane.isHeard()) return plane.setRest(null, session.number() !== null);
  const answer = await fetch("/api/v1/session/rest").catch(() => null);
  if (answer?.ok) plane.setRest(await answer.json(), true);
}

// Sessions may also be opened and marked by another person or program.
setInterval(() => document.hidden || session.refresh().then(refreshRest), 5000);
setInterval(() => document.hidden || show(), LOOK_MS);
setInterval(() => document.hidden || showVariability(), 5000);
followFeed(
  {
    expression: onExpression,
    vital: (message) => {
      vitals.add(message);
      plane.hear(message);
    },
    variability: (message) => {
      variability = message;
      showVariability();
    },
    session: () => session.refresh(),
    agent: () => {
      isPreviewed = false;
      byId("live").dataset.simulated = false;
    },
    preview: (message) => {
      isPreviewed = message.by !== null;
    },
    health: (message) => {
      health = message;
    },
    state: (message) => {
      standing.hear(message);
      show();
    },
  },
  onState,
);
