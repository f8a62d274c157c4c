// How camera and broker stand, from the agent's message of each second, and why there is no picture to speak of.

import { _, told } from "./messages.js";
import { span } from "./page.js";

const FEED = {
  connecting: _("Connecting"),
  silent: _("Agent not answering"),
  offline: _("Agent not running"),
  lost: _("Dashboard not reachable"),
};
const CAMERA = {
  open: [_("camera open"), "badge-good"],
  silent: [_("no picture from the camera"), "badge-bad"],
  failed: [_("camera failed"), "badge-bad"],
  closed: [_("camera closed: no session"), ""],
  off: [_("camera switched off"), "badge-warn"],
  ended: [_("camera: the file has ended"), ""],
};
const BROKER = {
  connected: [_("broker connected"), "badge-good"],
  connecting: [_("broker: connecting"), ""],
  silent: [_("broker not answering"), "badge-bad"],
  unreachable: [_("broker not reachable"), "badge-bad"],
  unauthorised: [_("broker: login refused"), "badge-bad"],
  untrusted: [_("broker: certificate not trusted"), "badge-bad"],
  refused: [_("broker refuses the connection"), "badge-bad"],
  stopped: [_("broker: connection ended"), ""],
  disabled: [_("no broker set up"), ""],
};

/** What to call a state of the broker, and the class of its badge. */
export function brokerState(name) {
  return BROKER[name] ?? [_("broker {name}", { name }), "badge-bad"];
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
      camera ? CAMERA[this.off ? "off" : camera.state] : [_("camera not known"), "badge-warn"],
      broker ? brokerState(broker.state) : [_("broker not known"), "badge-warn"],
    ];
    const text = JSON.stringify(entries);
    if (list.dataset.shown === text) return;
    list.dataset.shown = text;
    list.replaceChildren(
      ...entries.map(([words, style]) => {
        const line = document.createElement("li");
        line.className = `badge badge-dot ${style}`;
        line.textContent = words;
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
