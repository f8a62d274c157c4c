// The camera's picture for an administrator: streamed for a minute, drawn behind the face's box, kept nowhere. It ends
// by itself, when the page is left or hidden, and when nothing comes: then nothing of it is left on the page. The
// demonstration's picture, which shows nobody, comes by itself and stays: the agent says with each reading whose it is.

import { _, memberOf } from "./messages.js";
import { deviceNow } from "./page.js";

const SILENT_MS = 2400; // the agent sends something twice a second
const LAST_MS = 15000; // of a minute: time to ask for one more
const SESSION_MS = 7000; // until then the page has seen the session that ended a preview
const NEWLINE = 10;
const SHOWN_BY_ITSELF = _("The demonstration shows its two portraits by itself; they are in the public domain. The picture of a real camera is off until an administrator asks for it, a minute at a time.");
const byId = (id) => document.getElementById(id);
const picture = byId("preview-picture");
const decoder = new TextDecoder();
let aborter = null;
let until = 0;
let wantedFrom = 0; // when it comes by itself, of the demonstration: never again once it was refused or ended by hand

/** Whether the picture is the demonstration's, by the agent's own word. */
const isDemonstration = () => byId("live").dataset.simulated === "true";

function say(text) {
  if (byId("preview-said").textContent !== text) byId("preview-said").textContent = text;
}

function blank() {
  picture.hidden = true;
  picture.width = picture.height = 1;
  byId("place-frame").classList.remove("is-previewed");
}

function showRunning(isRunning) {
  const focused = document.activeElement;
  byId("preview-start").hidden = isRunning;
  byId("preview-end").hidden = !isRunning;
  byId("preview-more").hidden = !isRunning || isDemonstration();
  if (isRunning && focused === byId("preview-start")) byId("preview-end").focus();
  if (!isRunning && (focused === byId("preview-end") || focused === byId("preview-more"))) byId("preview-start").focus();
}

/** Yield the parts of an answer: {until, bytes, ended, picture}. Throws when nothing comes for too long. */
async function* parts(stream, silent) {
  const reader = stream.getReader();
  let held = new Uint8Array(0);
  const readMore = async () => {
    const alarm = setTimeout(silent, SILENT_MS);
    const { value, done } = await reader.read();
    clearTimeout(alarm);
    if (done) throw new Error("the answer has ended");
    const both = new Uint8Array(held.length + value.length);
    both.set(held);
    both.set(value, held.length);
    held = both;
  };
  for (;;) {
    while (!held.includes(NEWLINE)) await readMore();
    const begin = held.indexOf(NEWLINE) + 1;
    const head = JSON.parse(decoder.decode(held.subarray(0, begin)));
    while (held.length < begin + head.bytes) await readMore();
    yield { ...head, picture: held.subarray(begin, begin + head.bytes) };
    held = held.slice(begin + head.bytes);
  }
}

async function draw(bytes) {
  const image = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  if (aborter === null) return;
  picture.width = image.width;
  picture.height = image.height;
  picture.getContext("2d").drawImage(image, 0, 0);
  image.close();
  picture.hidden = false;
  byId("place-frame").classList.add("is-previewed");
}

/** Show what comes; return why it ended. */
async function show(stream) {
  for await (const part of parts(stream, () => aborter?.abort("dashboard"))) {
    if (part.ended) return part.ended;
    until = part.until;
    if (part.bytes) await draw(part.picture);
  }
  return "dashboard";
}

async function start() {
  if (aborter !== null) return;
  const own = new AbortController();
  aborter = own;
  wantedFrom = Infinity;
  let text = "";
  try {
    const answer = await fetch("/api/v1/preview", { method: "POST", signal: own.signal, cache: "no-store" });
    if (answer.ok) {
      showRunning(true);
      const reason = await show(answer.body);
      if (reason === "session") wantedFrom = performance.now() + SESSION_MS;
      text = memberOf("previews", reason).says;
    } else {
      text = (await answer.json()).detail;
    }
  } catch {
    text = memberOf("previews", own.signal.aborted ? own.signal.reason : "dashboard").says;
  }
  own.abort();
  aborter = null;
  until = 0;
  blank();
  showRunning(false);
  say(text);
}

function end() {
  aborter?.abort("left");
}

async function prolong() {
  const answer = await fetch("/api/v1/preview/more", { method: "POST" }).catch(() => null);
  if (answer !== null && !answer.ok) say((await answer.json()).detail);
}

/** Say each second how long it lasts; of the demonstration, begin it and let it last. */
function look() {
  if (!byId("session-bar").hidden) wantedFrom = 0; // no picture in a session, and again after it
  else if (isDemonstration() && performance.now() >= wantedFrom && !document.hidden) start();
  if (aborter === null || until === 0) return;
  const left = until - deviceNow();
  if (isDemonstration()) {
    say(SHOWN_BY_ITSELF);
    if (left < LAST_MS) prolong();
    return;
  }
  const seconds = Math.max(0, Math.round(left / 1000));
  say(_("Only you see it, for {seconds} more seconds. Every open Live page says so.", { seconds }));
}

byId("preview-start").addEventListener("click", start);
byId("preview-end").addEventListener("click", end);
byId("preview-more").addEventListener("click", prolong);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return;
  if (aborter !== null) wantedFrom = 0;
  end();
});
window.addEventListener("pagehide", () => {
  end();
  blank();
});
setInterval(look, 1000);
