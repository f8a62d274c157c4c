// What is not asked for is not sent, and sessions must be chosen before they can be exported.

const form = document.querySelector("form[data-export-form]");
const what = () => form.querySelector("[name=what]:checked").value;
const boxes = [...form.querySelectorAll("[name=session]")];
function update() {
  const chosen = what();
  for (const part of form.querySelectorAll("[data-only-with]")) {
    for (const field of part.querySelectorAll("input, select, button")) field.disabled = part.dataset.onlyWith !== chosen;
  }
  const format = form.querySelector("[name=format]:checked");
  if (chosen === "range" && format?.closest("[data-needs-sessions]")) form.querySelector("[name=format]:enabled").checked = true;
  form.querySelector("button[type=submit]").disabled = chosen === "sessions" && !boxes.some((box) => box.checked);
}
form.addEventListener("change", update);
form.querySelector("[data-choose-all]")?.addEventListener("click", () => {
  const all = boxes.every((box) => box.checked);
  for (const box of boxes) box.checked = !all;
  update();
});
update();
