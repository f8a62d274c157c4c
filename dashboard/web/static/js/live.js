// The live page: the present expression, vital signs, and the open session.

import { followFeed } from "./feed.js";
import { bindSession } from "./session.js";
import { Strip } from "./strip.js";
import { VitalTiles } from "./vitals.js";

const SPEAK_MS = 4000;
const byId = (id) => document.getElementById(id);
const percent = (value) => `${Math.round(value * 100)} %`;
const start = JSON.parse(byId("live-start").textContent);

const bars = new Map([...byId("bars").children].map((line) => [line.dataset.emotion, line]));
const strip = new Strip(byId("strip"), byId("strip-text"), [...bars.keys()], start.strip);
const vitals = new VitalTiles(byId("vitals"), byId("vitals-empty"), start.kinds, start.vitals);
const session = bindSession(start.session);
let spoken = { text: "", at: 0 };

function speak(text) {
  if (text === spoken.text || Date.now() - spoken.at < SPEAK_MS) return;
  spoken = { text, at: Date.now() };
  byId("now-spoken").textContent = text;
}

function showLabel(label, detail, emotion) {
  byId("now-label").textContent = label;
  byId("now-detail").textContent = detail;
  byId("now-swatch").dataset.emotion = emotion ?? "";
  speak(label);
}

function showBars(probabilities) {
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
  byId("valence-value").textContent = value === null ? "–" : value.toFixed(2).replace("-", "−");
}

function showPlace(message) {
  const { width, height } = message.frame;
  const place = byId("place");
  place.setAttribute("viewBox", `0 0 ${width} ${height}`);
  place.replaceChildren(
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
  const text = count === 0 ? "No face in the picture." : count === 1 ? "One face in the picture." : `${count} faces; the participant’s has the thick frame.`;
  const shown = `${text} No picture leaves the agent.`;
  if (byId("place-text").textContent !== shown) byId("place-text").textContent = shown;
}

function onExpression(message) {
  const face = message.faces.find((candidate) => candidate.primary);
  byId("camera-simulated").hidden = !(message.simulated ?? start.simulated);
  showPlace(message);
  if (!face) {
    showLabel("No face", "Nobody is in the picture", null);
    showBars(null);
    showValence(null);
    strip.add(message.at, null, null);
    return;
  }
  const label = face.emotion ?? "uncertain";
  const detail = face.emotion
    ? `${percent(face.smoothed[face.emotion])} of the smoothed probability`
    : "No clear expression";
  showLabel(label, detail, label);
  showBars(face.smoothed);
  showValence(face.valence ?? null);
  strip.add(message.at, face.smoothed, label);
}

function onState(state) {
  byId("live").classList.toggle("is-offline", state !== "online");
  if (state === "online") return;
  showLabel("–", state === "offline" ? "The agent is not running" : "Connecting to the dashboard", null);
  showBars(null);
  showValence(null);
}

// Sessions may also be opened and marked by another person or program.
setInterval(() => document.hidden || session.refresh(), 5000);
followFeed({ expression: onExpression, vital: (message) => vitals.show(message), session: () => session.refresh() }, onState);
