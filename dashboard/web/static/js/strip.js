// Two minutes of smoothed probabilities as a strip of one-second columns; seconds without a face stay empty.

import { said } from "./messages.js";
import { deviceNow } from "./page.js";

const SECONDS = 120;
const DRAW_MS = 500;
const SAY_MS = 5000;

export class Strip {
  /** canvas to draw on, element for the words, names of the categories, and what the database knows already. */
  constructor(canvas, text, names, recorded) {
    this.canvas = canvas;
    this.text = text;
    this.names = names;
    this.seconds = new Map();
    this.said = -SAY_MS;
    this.fill(recorded);
    setInterval(() => this.draw(), DRAW_MS);
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Note what was seen at an instant (ms); probabilities are null without a face. */
  add(at, probabilities, label) {
    this.seconds.set(Math.floor(at / 1000), { probabilities, label });
  }

  /** Put in what the database knows, where nothing was seen live. */
  fill(recorded) {
    for (const { at, probabilities, label } of recorded) {
      const second = Math.floor(at / 1000);
      if (!this.seconds.get(second)?.probabilities) this.seconds.set(second, { probabilities, label });
    }
  }

  draw() {
    if (document.hidden) return;
    const last = Math.floor(deviceNow() / 1000);
    for (const second of this.seconds.keys()) if (second < last - SECONDS || second > last + 1) this.seconds.delete(second);
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colours = new Map(this.names.map((name) => [name, style.getPropertyValue(`--emotion-${name}`).trim()]));
    const width = this.canvas.width / SECONDS;
    for (const [second, { probabilities }] of this.seconds) {
      if (!probabilities) continue;
      const left = Math.round((SECONDS - 1 - (last - second)) * width);
      const right = Math.round((SECONDS - (last - second)) * width);
      let bottom = this.canvas.height;
      for (const name of this.names) {
        const height = probabilities[name] * this.canvas.height;
        context.fillStyle = colours.get(name);
        context.fillRect(left, bottom - height, right - left, height + 0.5);
        bottom -= height;
      }
    }
    if (performance.now() - this.said > SAY_MS) this.say();
  }

  say() {
    this.said = performance.now();
    const counts = new Map();
    for (const { label } of this.seconds.values()) counts.set(label ?? "no face", (counts.get(label ?? "no face") ?? 0) + 1);
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    this.text.textContent = [...counts]
      .sort((a, b) => b[1] - a[1])
      .map(([label, count]) => `${said(label)} ${Math.round((100 * count) / total)} %`)
      .join(", ");
  }
}
