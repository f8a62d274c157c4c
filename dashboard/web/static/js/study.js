// The study page while a session is open: whether it is being recorded now.

import { followFeed } from "./feed.js";
import { Standing, showRecording } from "./standing.js";

const LOOK_MS = 250;
const badge = document.getElementById("session-recording");
const standing = new Standing();
const show = () => showRecording(badge, standing.reason);

followFeed({ state: (message) => standing.hear(message) }, (name) => {
  standing.feed = name;
  show();
});
setInterval(show, LOOK_MS);
