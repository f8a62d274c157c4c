// Moves the steps of a protocol by keys and by handle, and opens the form of a new one between two,
// without loading the page.

let isBusy = false;

async function draw(request, leave, focus) {
  if (isBusy) return;
  isBusy = true;
  try {
    const response = await fetch(...request);
    const next = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!response.ok || next.getElementById("steps") === null) {
      leave(); // the whole page says what is wrong
      return;
    }
    for (const id of ["parted", "steps"]) document.getElementById(id).replaceWith(next.getElementById(id));
    const was = document.querySelector("#steps [name=was]").value;
    for (const input of document.querySelectorAll("[name=was]")) input.value = was;
    const text = next.getElementById("text");
    if (text !== null) document.getElementById("text").value = text.value;
    focus();
  } catch {
    leave();
  } finally {
    isBusy = false;
  }
}

function move(form, target, way) {
  const body = new URLSearchParams(new FormData(form));
  body.set("target", target);
  const leave = () => window.location.reload();
  draw([form.action, { method: "POST", body }], leave, () => {
    const buttons = [...document.querySelectorAll(`#step-${Number(target) + 1} [data-way]`)];
    const usable = buttons.filter((button) => !button.disabled);
    (usable.find((button) => button.dataset.way === way) ?? usable[0])?.focus();
  });
}

document.addEventListener("submit", (event) => {
  const { submitter } = event;
  if (submitter?.dataset.way === undefined) return;
  event.preventDefault();
  move(event.target, submitter.value, submitter.dataset.way);
});

document.addEventListener("keydown", (event) => {
  const way = { ArrowUp: "up", ArrowDown: "down" }[event.key];
  if (way === undefined || event.target.dataset?.way === undefined) return;
  event.preventDefault();
  const button = event.target.form.querySelector(`[data-way=${way}]`);
  if (!button.disabled) move(button.form, button.value, way);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".protocol-plus");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const leave = () => window.location.assign(link.href);
  draw([link.href], leave, () => document.getElementById("kind").focus());
});

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest?.(".protocol-handle");
  if (!handle) return;
  event.preventDefault();
  const row = handle.closest("li");
  const rows = [...document.querySelectorAll(".protocol-edit > [data-kind]")];
  const place = rows.indexOf(row);
  let many = 1;
  if (row.dataset.kind === "stimulus") while (rows[place + many]?.classList.contains("protocol-part")) many += 1;
  const moved = rows.splice(place, many);
  const parts = !["stimulus", "baseline"].includes(row.dataset.kind);
  let target = place;
  const mark = () => rows.forEach((one, at) => {
    one.classList.toggle("protocol-before", at === target);
    one.classList.toggle("protocol-behind", at === target - 1 && target === rows.length);
  });
  const follow = ({ clientY }) => {
    target = rows.filter((one) => {
      const { top, height } = one.getBoundingClientRect();
      return clientY > top + height / 2;
    }).length;
    while (!parts && rows[target]?.classList.contains("protocol-part")) target += 1;
    mark();
  };
  const listening = new AbortController();
  const end = (isDropped) => {
    listening.abort();
    for (const one of [...rows, ...moved]) one.classList.remove("protocol-before", "protocol-behind", "protocol-moved");
    if (isDropped && target !== place) move(handle.closest("form"), target, "down");
  };
  for (const one of moved) one.classList.add("protocol-moved");
  handle.setPointerCapture(event.pointerId);
  handle.addEventListener("pointermove", follow, listening);
  handle.addEventListener("pointerup", () => end(true), listening);
  handle.addEventListener("pointercancel", () => end(false), listening);
});
