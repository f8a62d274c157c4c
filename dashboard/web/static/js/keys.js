// The sheet of keys, which "?" opens: what every page knows, and what the present one does.

const EVERYWHERE = [
  [["?"], "this sheet"],
  [["Tab"], "the next link, field or button; the first one leads to the content"],
  [["Shift", "Tab"], "the one before"],
  [["Enter"], "follow a link, press a button"],
  [["Space"], "press a button, tick a box, open a fold"],
  [["Esc"], "close this sheet"],
];
const OF_PAGES = {
  "/live": ["Live, while a session is open", [[["1 to 9"], "start the condition of that number, or end it"]]],
  "/protocol": ["Protocol", [
    [["Space"], "start, pause, resume"],
    [["←"], "repeat the present step"],
    [["→"], "skip it"],
    [["Esc"], "end the protocol, after a question"],
  ]],
  "/trends": ["Trends, with the mouse", [[["Shift"], "hold it and drag to move; drag alone zooms, a double click zooms out"]]],
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
  const title = piece("h2", "Keys");
  title.id = "keys-title";
  const [name, own] = OF_PAGES[window.location.pathname] ?? ["", []];
  sheet.append(title, ...(own.length ? [piece("h3", name), listOf(own), piece("h3", "Everywhere")] : []), listOf(EVERYWHERE));
  const button = piece("button", "Close");
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
