// The eight probabilities as one band, and below it the names of those that one can see in it.

import { said } from "./messages.js";

const NAMED = 0.1; // below this share a part is a sliver, and its name would come and go

export class Band {
  /** holder: the band, with a part for each category; names: the list below it, which the eye alone reads. */
  constructor(holder, names) {
    this.holder = holder;
    this.names = names;
    this.parts = new Map([...holder.children].map((part) => [part.dataset.emotion, part]));
    this.title = holder.getAttribute("aria-label");
  }

  /** Show name → share; null: nothing is known. */
  show(probabilities) {
    const entries = Object.entries(probabilities ?? {});
    for (const [name, part] of this.parts) part.style.flexGrow = String(probabilities?.[name] ?? 0);
    const named = entries.filter(([, share]) => share >= NAMED).map(([name, share]) => [name, `${said(name)} ${Math.round(100 * share)} %`]);
    const text = named.map(([, words]) => words).join(", ");
    if (this.names.dataset.shown === text) return;
    this.names.dataset.shown = text;
    this.holder.setAttribute("aria-label", text ? `${this.title}: ${text}` : this.title);
    this.names.replaceChildren(...named.map(([name, words]) => nameOf(name, words)));
  }
}

function nameOf(name, words) {
  const line = document.createElement("li");
  const swatch = document.createElement("span");
  swatch.className = "emotion-swatch";
  swatch.dataset.emotion = name;
  line.append(swatch, words);
  return line;
}
