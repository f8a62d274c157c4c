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
  const fold = document.getElementById(location.hash.slice(1));
  if (fold?.matches("details")) fold.open = true;
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

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copySentence(button);
});

// Nobody can open a fold on paper; afterwards it is as it was.
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelector("[data-answer]").querySelectorAll("details")) {
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
