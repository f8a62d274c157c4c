// Says that the answer is being computed once somebody has asked for it.

import { _ } from "./messages.js";

for (const link of document.querySelectorAll("[data-takes-long]")) {
  link.addEventListener("click", () => {
    link.setAttribute("aria-busy", "true");
    link.textContent = _("Computing every set of choices …");
  });
}

// "Back" brings this page as it was left.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
