// How camera and broker stand, from the agent's message of each second, and why there is no picture to speak of.

import { _, memberOf, told } from "./messages.js";
import { span } from "./page.js";

// listed here: what this page itself knows of its feed
const FEED = {
  connecting: _("Connecting"),
  silent: _("Agent not answering"),
  offline: _("Agent not running"),
  lost: _("Dashboard not reachable"),
};

/** Words and badge of a part whose state the agent says; without one, that it is not known. */
function entry(register, part, unknown) {
  return part ? memberOf(register, part.state) : { says: unknown, badge: "badge-warn" };
}

/** Follow {feed: name of followFeed, message: of type state}. */
export class Standing {
  constructor() {
    this.feed = "connecting";
    this.message = null;
    this.heard = 0;
  }

  hear(message) {
    this.message = message;
    this.heard = performance.now();
  }

  /** Seconds after which a picture is late; cameras of still pictures take longer. */
  get lateMs() {
    return 1000 * (this.message?.camera.late_after_seconds ?? 2);
  }

  /** Since when and by whom the camera is switched off; null: it is on, or nobody knows. */
  get off() {
    return this.feed === "online" ? (this.message?.camera.switched_off ?? null) : null;
  }

  /** Why nothing is seen now; empty when pictures come. */
  get reason() {
    if (this.feed !== "online") return FEED[this.feed];
    const camera = this.message?.camera;
    if (this.off) return _("Camera switched off");
    if (!camera || camera.state === "open") return "";
    if (camera.state === "closed") return _("Camera closed: no session");
    if (camera.state === "ended") return _("The camera’s file has ended");
    const age = 1000 * camera.frame_age_seconds + performance.now() - this.heard;
    return _("No picture for {span}", { span: span(age) });
  }

  /** What is wrong with the camera, and what helps; empty while pictures come. */
  get cause() {
    const camera = this.feed === "online" ? this.message?.camera : undefined;
    return this.reason && camera?.reason ? told(camera.reason, this.message) : "";
  }

  /** Show camera and broker in a list; it is always there. */
  show(list) {
    const { camera, broker } = this.feed === "online" && this.message ? this.message : {};
    const entries = [
      this.off ? { says: _("camera switched off"), badge: "badge-warn" } : entry("cameras", camera, _("camera not known")),
      entry("brokers", broker, _("broker not known")),
    ];
    const text = JSON.stringify(entries);
    if (list.dataset.shown === text) return;
    list.dataset.shown = text;
    list.replaceChildren(
      ...entries.map(({ says, badge }) => {
        const line = document.createElement("li");
        line.className = `badge badge-dot ${badge}`;
        line.textContent = says;
        return line;
      }),
    );
  }
}

/** Say on a badge whether the open session is recorded; reason says why not. */
export function showRecording(badge, reason) {
  const text = reason === "" ? _("recording") : _("not recording: {reason}", { reason });
  if (badge.textContent === text) return;
  badge.textContent = text;
  badge.className = `badge badge-dot badge-line ${reason === "" ? "badge-good" : "badge-bad"}`;
}
