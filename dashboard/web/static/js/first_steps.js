// The step of the camera: how camera and broker stand, and how a face stands, as it is now.

import { followFeed } from "./feed.js";
import { showFraming } from "./framing.js";
import { deviceNow } from "./page.js";
import { Standing } from "./standing.js";

const LOOK_MS = 250;
const byId = (id) => document.getElementById(id);
const standing = new Standing();
let last = null; // the newest expression

function show() {
  standing.show(byId("standing"));
  const isNow = last !== null && standing.reason === "" && deviceNow() - last.at < standing.lateMs;
  const face = isNow ? last.faces.find((candidate) => candidate.primary) : null;
  showFraming(byId("framing"), byId("framing-ready"), face, last?.frame);
}

setInterval(() => document.hidden || show(), LOOK_MS);
followFeed(
  {
    expression: (message) => {
      last = message;
    },
    state: (message) => standing.hear(message),
  },
  (name) => {
    standing.feed = name;
    if (name !== "online") standing.message = null;
    show();
  },
);
