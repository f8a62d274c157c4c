// Shows only the fields of the analysis form that the present choices need; those hidden are not sent.

const form = document.querySelector("[data-analysis-form]");

function adapt() {
  const chosen = new FormData(form);
  for (const part of form.querySelectorAll("[data-only-with]")) {
    const [, name, not, value] = part.dataset.onlyWith.match(/^(\w+)(!?)=(.*)$/);
    part.hidden = part.disabled = (chosen.get(name) === value) === (not === "!");
  }
}

form.addEventListener("change", adapt);
window.addEventListener("pageshow", adapt);  // after "back" the browser puts the choices of before in again
adapt();
