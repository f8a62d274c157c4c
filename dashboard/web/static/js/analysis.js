// Shows only the fields of the analysis form that the present choices need; those hidden are not sent.

import { _ } from "./messages.js";

let form = null; // comes later where the question is folded

function adapt() {
  const chosen = new FormData(form);
  for (const part of form.querySelectorAll("[data-only-with]")) {
    const [, name, not, value] = part.dataset.onlyWith.match(/^(\w+)(!?)=(.*)$/);
    part.hidden = part.disabled = (chosen.get(name) === value) === (not === "!");
  }
}

function watch() {
  if (form) return;
  form = document.querySelector("[data-analysis-form]");
  if (!form) return;
  form.addEventListener("change", adapt);
  window.addEventListener("pageshow", adapt);  // after "back" the browser puts the choices of before in again
  adapt();
}

document.addEventListener("parts-came", watch);
watch();

/** Open the fold that an address names. */
function unfold() {
  const fold = document.getElementById(location.hash.slice(1))?.closest("details");
  if (fold) fold.open = true;
}

window.addEventListener("hashchange", unfold);
unfold();

// A page without HTTPS has no clipboard: then the sentence is selected, and the reader's own copy takes it.
async function copySentence(button) {
  const text = button.parentElement.querySelector("[data-copied]");
  window.getSelection().selectAllChildren(text);
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = _("Copied");
  } catch {
    button.textContent = _("Selected");
  }
}

/**
 * A table for a document: its title, and three rules, above and below the heads and at the foot, as APA sets tables. They are
 * attributes of the table, which Word and LibreOffice know; a style would break the policy of the page.
 */
function apaTable(table, title) {
  const copy = document.createElement("table");
  for (const [name, value] of [["frame", "hsides"], ["rules", "groups"], ["border", "1"], ["cellpadding", "4"]]) copy.setAttribute(name, value);
  const head = copy.createTHead();
  const body = copy.createTBody();
  for (const row of table.rows) {
    const line = (row.parentElement === table.tHead ? head : body).insertRow();
    for (const cell of row.cells) {
      const own = line.insertCell();
      own.colSpan = cell.colSpan;
      own.textContent = cell.innerText.replace(/\s+/g, " ").trim();
      own.setAttribute("align", cell.matches(".number") ? "right" : "left");
    }
  }
  const name = document.createElement("p");
  const words = document.createElement("i");
  words.textContent = title;
  name.append(words);
  const text = [...copy.rows].map((row) => [...row.cells].map((cell) => cell.textContent).join("\t")).join("\n");
  return { html: name.outerHTML + copy.outerHTML, text: `${title}\n${text}\n` };
}

async function copyTable(button) {
  const table = button.parentElement.previousElementSibling.querySelector("table");
  const { html, text } = apaTable(table, button.dataset.copyTable);
  window.getSelection().selectAllChildren(table);
  try {
    const kinds = { "text/html": html, "text/plain": text };
    await navigator.clipboard.write([new ClipboardItem(Object.fromEntries(Object.entries(kinds).map(([kind, content]) => [kind, new Blob([content], { type: kind })])))]);
    button.textContent = _("Copied");
  } catch {
    button.textContent = _("Selected");
  }
}

document.addEventListener("click", (event) => {
  const sentence = event.target.closest("[data-copy]");
  if (sentence) copySentence(sentence);
  const table = event.target.closest("[data-copy-table]");
  if (table) copyTable(table);
});

// Nobody can open a fold on paper; afterwards it is as it was. What is folded within a fold stays away: its fold says what comes of it.
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelector("[data-answer]").querySelectorAll(".fold, .stimuli-check")) {
    if (fold.open) continue;
    fold.open = true;
    fold.dataset.forPaper = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const fold of document.querySelectorAll("[data-for-paper]")) {
    fold.open = false;
    delete fold.dataset.forPaper;
  }
});
