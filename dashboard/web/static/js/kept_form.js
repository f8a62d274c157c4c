// A form outlives the end of its log-in: what is typed stays in the page, and is sent after somebody has logged in beside it.

import { _ } from "./messages.js";

/** Everybody who is logged in has the page Account; others are led away. Without an answer the browser says what is wrong. */
async function isLoggedIn() {
  try {
    const answer = await fetch("/account", { redirect: "manual", cache: "no-store" });
    return answer.type !== "opaqueredirect";
  } catch {
    return true;
  }
}

/** Send a form as its button does; its own questions were answered already. */
function send(form, button) {
  if (button?.name) {
    const named = document.createElement("input");
    named.type = "hidden";
    named.name = button.name;
    named.value = button.value;
    form.append(named);
  }
  if (button?.hasAttribute("formaction")) form.action = button.formAction;
  form.submit();
}

function piece(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

function ask(form, button) {
  const sheet = piece("dialog", "", "card stack-tight keys");
  sheet.setAttribute("aria-labelledby", "kept-title");
  const title = piece("h2", _("Your log-in has ended"));
  title.id = "kept-title";
  const link = piece("a", _("Log in, in another tab"), "button");
  link.href = "/login";
  link.target = "_blank";
  link.rel = "noopener";
  const again = piece("button", _("Send it now"), "button-quiet");
  again.type = "button";
  const close = piece("button", _("Close"), "button-quiet");
  close.type = "button";
  const said = piece("p", _("Nothing is lost: what you typed stays on this page. Log in in another tab, come back, and send it."));
  said.setAttribute("role", "status");
  again.addEventListener("click", async () => {
    if (await isLoggedIn()) send(form, button);
    else said.textContent = _("You are not logged in yet. What you typed is still here.");
  });
  close.addEventListener("click", () => sheet.close());
  sheet.addEventListener("close", () => sheet.remove());
  const row = piece("div", "", "row");
  row.append(link, again, close);
  sheet.append(title, said, row);
  document.body.append(sheet);
  sheet.showModal();
}

/** Send a form while its log-in holds; otherwise ask to log in beside it. */
export async function sendWhileLoggedIn(form, button) {
  if (await isLoggedIn()) send(form, button);
  else ask(form, button);
}
