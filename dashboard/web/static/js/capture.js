// The switch of the camera on the page Live: what it is by the agent's word, and a button that turns it.

import { _ } from "./messages.js";
import { localTime } from "./page.js";

const ANSWER_MS = 4000;
const byId = (id) => document.getElementById(id);
let isAsked = false;

/** Say who switched the camera off, and since when. */
function sentence({ since, by }) {
  const nothing = _("No face is seen or recorded until it is turned on again; readings of sensors still are.");
  if (since === null) return `${_("The camera is switched off.")} ${nothing}`;
  const time = localTime(since);
  if (by === "") return `${_("The camera has been switched off since {time}.", { time })} ${nothing}`;
  return `${_("The camera has been switched off since {time}, by {who}.", { time, who: by })} ${nothing}`;
}

function say(text) {
  if (byId("capture-said").textContent !== text) byId("capture-said").textContent = text;
}

async function turn(on) {
  isAsked = true;
  byId("capture-turn").disabled = true;
  try {
    const answer = await fetch("/api/v1/capture", {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ on }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (answer.status === 401) window.location.reload();
    const content = await answer.json();
    say(answer.ok ? "" : (content.detail ?? _("The camera could not be switched.")));
  } catch {
    say(_("The dashboard cannot be reached."));
  }
  isAsked = false;
}

/** Show the switch; nothing while nobody knows how it stands. */
export function showCapture(standing) {
  const isKnown = standing.feed === "online" && standing.message !== null;
  const notice = byId("capture-notice");
  notice.hidden = !standing.off;
  if (standing.off) {
    const text = sentence(standing.off);
    if (notice.textContent !== text) notice.textContent = text;
  }
  const button = byId("capture-turn");
  if (!button) return;
  button.hidden = !isKnown;
  button.disabled = isAsked;
  const words = standing.off ? _("Turn the camera on") : _("Turn the camera off");
  if (button.textContent !== words) button.textContent = words;
  button.onclick = () => turn(standing.off !== null);
}
