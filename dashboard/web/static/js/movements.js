// What a face does besides its expression: where the head is turned, and the movements of its parts.

import { _, said } from "./messages.js";

const SHOWN = 6;
const STRAIGHT_DEG = 5; // less than the mean error of the estimate is no turn
const LEAST = 0.05;
const CHOOSE_MS = 2000; // a list that changes with each picture cannot be read

/** Say in words where the head is turned, as it is seen in the picture. */
export function poseText({ yaw, pitch, roll }) {
  const degrees = (value) => Math.round(Math.abs(value));
  const parts = [
    yaw >= STRAIGHT_DEG && _("turned {n}° to the right", { n: degrees(yaw) }),
    yaw <= -STRAIGHT_DEG && _("turned {n}° to the left", { n: degrees(yaw) }),
    pitch >= STRAIGHT_DEG && _("{n}° down", { n: degrees(pitch) }),
    pitch <= -STRAIGHT_DEG && _("{n}° up", { n: degrees(pitch) }),
    Math.abs(roll) >= STRAIGHT_DEG && _("tilted by {n}°", { n: degrees(roll) }),
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : _("straight");
}

/** The strongest movements: [name, strength] from the strongest on. */
export function strongest(movements, least = LEAST) {
  return Object.entries(movements)
    .filter(([, strength]) => strength >= least)
    .sort(([, one], [, other]) => other - one)
    .slice(0, SHOWN);
}

/** Say the strongest movements in words; `names`: what people call each. */
export function movementsText(movements, names) {
  const words = strongest(movements).map(([name, strength]) => `${said(names[name])} ${Math.round(strength * 100)} %`);
  return words.length ? words.join(", ") : _("none");
}

/** Bars of the strongest movements; which they are is chosen every two seconds. */
export class MovementBars {
  constructor(list, names) {
    this.lines = [...list.children];
    this.called = names;
    this.names = [];
    this.chosenAt = -Infinity;
  }

  /** Show the movements of now; null: nothing is known. */
  show(movements, now = performance.now()) {
    if (movements === null) {
      this.names = [];
      this.chosenAt = -Infinity;
    } else if (now - this.chosenAt >= CHOOSE_MS) {
      this.names = strongest(movements, 0).map(([name]) => name);
      this.chosenAt = now;
    }
    this.lines.forEach((line, place) => {
      const name = this.names[place];
      line.querySelector(".bar-name").textContent = name ? said(this.called[name]) : "–";
      line.querySelector(".bar-fill").style.width = name ? `${movements[name] * 100}%` : "0";
      line.querySelector(".bar-value").textContent = name ? `${Math.round(movements[name] * 100)} %` : "–";
    });
  }
}
