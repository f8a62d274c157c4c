// Sessions must be chosen before they can be exported, and the page follows a preparation.

import { _ } from "./messages.js";

const choice = document.querySelector("form[data-needs-choice]");
const boxes = [...(choice?.querySelectorAll("input[type=checkbox]") ?? [])];
if (boxes.length) {
  const update = () => {
    choice.querySelector("button[type=submit]").disabled = !boxes.some((box) => box.checked);
  };
  choice.addEventListener("change", update);
  choice.querySelector("[data-choose-all]").addEventListener("click", () => {
    const all = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
    update();
  });
  update();
}

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
