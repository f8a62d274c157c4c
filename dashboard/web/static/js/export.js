// What is not asked for is not sent, sessions must be chosen before they can be exported, and the page follows a preparation.

import { _ } from "./messages.js";

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

const preparing = document.querySelector("[data-export][data-state=preparing]");
if (preparing) {
  const bar = preparing.querySelector("[data-share]");
  const text = preparing.querySelector("[data-share-text]");
  const follow = async () => {
    const answer = await fetch(`/api/v1/exports/${preparing.dataset.export}`).catch(() => null);
    const found = answer?.ok ? await answer.json() : null;
    if (found?.state === "preparing") {
      bar.value = found.share;
      text.textContent = _("{share} % done. This page shows when it is ready; you can leave it and come back.", { share: Math.floor(100 * found.share) });
    } else if (found || answer?.status === 404) {
      location.replace(`/export${location.search}`);
      return;
    }
    setTimeout(follow, 1000);
  };
  setTimeout(follow, 300);
}
