// The sentence of a rule: its limits and their unit follow what is watched.

for (const form of document.querySelectorAll("form[data-rule-form]")) {
  const watched = form.elements.watched;
  const update = () => {
    const { unit, limits } = watched.selectedOptions[0].dataset;
    const taken = limits.split(" ").filter(Boolean);
    form.querySelector("span[data-limits]").hidden = !taken.length;
    form.querySelector("[data-shown-unit]").textContent = unit;
    for (const part of form.querySelectorAll("[data-limit]")) {
      const needed = part.dataset.limit.split(" ");
      const isField = part.classList.contains("field");
      part.hidden = isField ? !taken.length : !needed.every((limit) => taken.includes(limit));
      // A hidden field is not sent: what was typed there belongs to what was watched before.
      for (const input of part.querySelectorAll("input")) input.disabled = part.hidden;
    }
  };
  watched.addEventListener("change", update);
  update();
}
