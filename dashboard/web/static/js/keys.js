// The sheet of keys, which "?" opens: what every page knows, and what the present one does.

import { _ } from "./messages.js";

const EVERYWHERE = [
  [["?"], _("this sheet")],
  [["Tab"], _("the next link, field or button; the first one leads to the content")],
  [["Shift", "Tab"], _("the previous one")],
  [["Enter"], _("follow a link, press a button")],
  [["Space"], _("press a button, tick a box, open a section")],
  [["Esc"], _("close this sheet")],
];
const OF_PAGES = {
  "/live": [_("Live, while a session is open"), [
    [[_("1 to 9")], _("start the condition of that number, or end it")],
    [["B"], _("begin the baseline")],
    [["I"], _("say that the leading face is the participant’s")],
    [["N"], _("write a note; Esc leaves it")],
    [["E"], _("end the session, after confirming")],
  ]],
  "/protocol": [_("Protocol"), [
    [["Space"], _("start, pause, resume")],
    [["←"], _("repeat the current step")],
    [["→"], _("skip it")],
    [["Esc"], _("end the protocol, after confirming")],
  ]],
  "/trends": [_("Trends, with the mouse"), [[["Shift"], _("hold it and drag to move; without it, dragging zooms in and a double click zooms out")]]],
};

function piece(tag, ...content) {
  const element = document.createElement(tag);
  element.append(...content);
  return element;
}

function listOf(keys) {
  const list = piece("dl", ...keys.flatMap(([names, text]) => [
    piece("dt", ...names.flatMap((name, index) => (index ? [" + ", piece("kbd", name)] : [piece("kbd", name)]))),
    piece("dd", text),
  ]));
  list.className = "keys-list";
  return list;
}

function made() {
  const sheet = document.createElement("dialog");
  sheet.id = "keys";
  sheet.className = "card stack-tight keys";
  sheet.setAttribute("aria-labelledby", "keys-title");
  const title = piece("h2", _("Keys"));
  title.id = "keys-title";
  const [name, own] = OF_PAGES[window.location.pathname] ?? ["", []];
  sheet.append(title, ...(own.length ? [piece("h3", name), listOf(own), piece("h3", _("Everywhere"))] : []), listOf(EVERYWHERE));
  const button = piece("button", _("Close"));
  button.className = "button-quiet";
  const form = piece("form", button);
  form.method = "dialog";
  sheet.append(form);
  document.body.append(sheet);
  return sheet;
}

/** Open the sheet. */
export function showKeys() {
  const sheet = document.getElementById("keys") ?? made();
  if (!sheet.open) sheet.showModal();
}
