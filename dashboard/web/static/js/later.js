// Brings the parts that the first answer of a page left out: all of them at once, when the first of them is opened, comes
// near the window, is looked for by the browser's search or by an address with #, or is to be printed. They are folded
// or far down, and larger than all the rest. Without scripts each is a link to the whole page.

import { _ } from "./messages.js";

const NEAR = "400px 0px";
const answer = document.querySelector("[data-answer]")?.dataset.answer;
const places = () => [...document.querySelectorAll("[data-part]:has(> a[data-later])")];
let coming = null;

function say(text, wanted) {
  for (const place of wanted) for (const link of place.querySelectorAll("a")) link.textContent = text;
}

/** Put in the parts of the whole page; of a page about other data (or of the login) nothing is taken. */
function putIn(text, wanted) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const found = page.querySelector("[data-answer]")?.dataset.answer;
  if (found === undefined) return say(_("It could not be loaded. Open the whole page"), wanted);
  if (found !== answer) return say(_("The data have changed. Open the whole page"), wanted);
  for (const place of wanted) {
    const part = page.querySelector(`[data-part="${place.dataset.part}"]`);
    if (part) place.replaceWith(document.adoptNode(part));
  }
  document.dispatchEvent(new Event("parts-came"));
}

async function fetchParts(address, wanted) {
  try {
    putIn(await (await fetch(address)).text(), wanted);
  } catch {
    say(_("It could not be loaded. Open the whole page"), wanted);
    coming = null; // the next reason to load them tries again
  }
}

function bring() {
  const [place] = places();
  if (place) coming ??= fetchParts(place.firstElementChild.href, places());
  return coming;
}

/** Nothing waits for a promise before the browser prints, so that this request is one that stops the page. */
function bringForPaper() {
  const [place] = places();
  if (!place) return;
  const request = new XMLHttpRequest();
  request.open("GET", place.firstElementChild.href, false);
  try {
    request.send();
    putIn(request.responseText, places());
  } catch {
    say(_("It could not be loaded. Open the whole page"), places());
  }
}

async function goTo(hash) {
  await bring();
  document.getElementById(hash.slice(1))?.scrollIntoView();
}

/** The tables of other choices take most of an analysis: they are made when one of their folds is opened. */
async function make(fold, link) {
  const part = fold.closest("[data-part]");
  if ("making" in part.dataset) return;
  part.dataset.making = "";
  await fetchParts(link.href, [part]);
  delete part.dataset.making; // of a part that could not be loaded
  const made = document.getElementById(fold.id);
  if (made && !part.isConnected) made.open = true;
}

document.addEventListener(
  "toggle",
  (event) => {
    const link = event.target.open && event.target.querySelector("a[data-opened]");
    if (link) make(event.target, link);
  },
  true,
);

const isHere = (link) => link.hash && link.pathname === location.pathname && new URLSearchParams(link.search).get("whole");

if (places().length) {
  const near = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && bring(), { rootMargin: NEAR });
  for (const place of places()) near.observe(place);
  window.addEventListener("beforeprint", bringForPaper);
  window.addEventListener("keydown", (event) => {
    if (event.key === "F3" || ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f")) bring();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link === null || event.ctrlKey || event.metaKey || !isHere(link)) return;
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    goTo(link.hash);
  });
  if (location.hash && !document.getElementById(location.hash.slice(1))) goTo(location.hash);
}
