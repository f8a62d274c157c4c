// The page follows the preparation of an export or a backup, and shows it when it is ready.

import { _ } from "./messages.js";

const preparing = document.querySelector("[data-export][data-state=preparing]");
if (preparing) {
  const bar = preparing.querySelector("[data-share]");
  const text = preparing.querySelector("[data-share-text]");
  const follow = async () => {
    const answer = await fetch(`/api/v1/exports/${preparing.dataset.export}`).catch(() => null);
    const found = answer?.ok ? await answer.json() : null;
    if (found?.state === "preparing") {
      if (bar) bar.value = found.share;
      if (text) text.textContent = _("{share} % done. This page shows when it is ready; you can leave it and come back.", { share: Math.floor(100 * found.share) });
    } else if (found || answer?.status === 404) {
      location.replace(location.pathname + location.search);
      return;
    }
    setTimeout(follow, 1000);
  };
  setTimeout(follow, 300);
}
