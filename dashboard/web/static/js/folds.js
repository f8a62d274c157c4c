// An address with # opens the part that folds, also where the browser does not by itself; all are open on paper.

const open = () => {
  const part = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part?.matches("details")) part.open = true;
  part?.scrollIntoView();
};

if (location.hash) open();
addEventListener("hashchange", open);
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
