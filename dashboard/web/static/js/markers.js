// Markers on their way to the dashboard. Each is stamped by the device's clock when it is pressed, waits here while the
// dashboard is away, and is sent in order; the dashboard takes one that it has already for the same.

const KEPT = "waiting-markers"; // a reload of this tab keeps what waits
const AGAIN_MS = 2000;

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? [];
  } catch {
    return [];
  }
}

/** ask(path, body) sends; onChange() after each change; onAnswer(state), onRefused(marker, text) for each that is answered. */
export class MarkerQueue {
  constructor(ask, { onChange, onAnswer, onRefused }) {
    this.ask = ask;
    this.onChange = onChange;
    this.onAnswer = onAnswer;
    this.onRefused = onRefused;
    this.waiting = kept();
    this.isSending = false;
    setInterval(() => this.send(), AGAIN_MS);
    window.addEventListener("beforeunload", (event) => this.waiting.length > 0 && event.preventDefault());
  }

  add(marker) {
    this.keep([...this.waiting, marker]);
    return this.send();
  }

  keep(waiting) {
    this.waiting = waiting;
    if (waiting.length === 0) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, JSON.stringify(waiting));
    this.onChange();
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    try {
      while (this.waiting.length > 0) await this.sendFirst();
    } catch {
      // the dashboard is away: the next attempt is soon
    } finally {
      this.isSending = false;
    }
  }

  async sendFirst() {
    const [marker] = this.waiting;
    const { ok, status, content } = await this.ask("/api/v1/session/markers", marker);
    if (status === 401 || status >= 500) throw new Error("later");
    this.keep(this.waiting.slice(1));
    if (ok) this.onAnswer(content, marker);
    else this.onRefused(content.detail, marker);
  }
}
