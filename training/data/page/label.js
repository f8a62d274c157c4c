// One page: who labels, the picture with its keys, and how far people agree.
const at = (id) => document.getElementById(id);
const words = (name) => name.replace("_", " ");
const state = { all: null, name: null, pictures: [], place: 0 };

async function ask(address, options) {
  const answer = await fetch(address, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(typeof content.detail === "string" ? content.detail : "refused");
  return content;
}

function made(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

async function overview() {
  state.name = null;
  at("name").value = ""; // before anything is waited for: what is typed meanwhile stays
  const all = (state.all = await ask("people"));
  at("work").hidden = true;
  at("start").hidden = false;
  at("counts").textContent = `${all.pictures} pictures, ${all.merged} of them with a clear label.`;
  at("people").replaceChildren(...all.people.map((one) => {
    const item = document.createElement("li");
    const button = made("button", `${one.name}: ${one.labelled} of ${all.pictures}`);
    button.addEventListener("click", () => attempt(() => begin(one.name)));
    item.append(button);
    return item;
  }));
  at("settle").hidden = all.to_settle === 0;
  at("settle").textContent = `Settle ${all.to_settle} pictures on which people differ or doubt`;
  at("where").textContent = `The tables lie in ${all.out}; labels.csv there holds the clear labels.`;
  showAgreement((await ask("agreement")).pairs);
  at("name").focus();
}

function showAgreement(pairs) {
  const place = at("agreement");
  place.replaceChildren();
  if (!pairs.length) return;
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const columns = ["Labellers", "Both labelled", "Same", "Cohen's kappa", "Confused most often"];
  columns.forEach((name, column) => {
    head.append(made("th", name, { scope: "col", class: column && column < 4 ? "number" : "" }));
  });
  const body = table.createTBody();
  for (const pair of pairs) {
    const row = body.insertRow();
    row.append(made("th", `${pair.first} and ${pair.second}`, { scope: "row" }));
    const same = pair.pictures ? `${pair.same} (${Math.round((100 * pair.same) / pair.pictures)} %)` : "–";
    const kappa = pair.kappa === null ? "–" : pair.kappa.toFixed(2).replace("-", "−");
    for (const value of [pair.pictures, same, kappa]) row.append(made("td", value, { class: "number" }));
    const confused = pair.confused.slice(0, 3).map(([a, b, n]) => `${words(a)} / ${words(b)} ${n}`);
    row.append(made("td", confused.join(", ") || "–"));
  }
  const wide = made("div", "", { class: "wide", tabindex: "0", role: "region", "aria-label": "Agreement" });
  wide.append(table);
  const hint = "Kappa is agreement beyond chance (Cohen 1960): 1 is perfect, 0 is what chance gives.";
  place.append(made("h2", "Agreement"), wide, made("p", hint, { class: "soft" }));
}

async function begin(name) {
  const found = (await ask(`people/${encodeURIComponent(name)}`)).pictures;
  state.name = name;
  state.pictures = found;
  at("start").hidden = true;
  at("work").hidden = false;
  at("title").textContent = name === state.all.settled ? "Settle" : name;
  show(Math.max(0, found.findIndex((one) => one.emotion === null)));
  document.activeElement?.blur();
}

function show(place) {
  state.place = place;
  const one = state.pictures[place];
  if (!one) return;
  at("picture").src = `pictures/${one.number}`;
  at("picture").alt = `Picture ${place + 1} of ${state.pictures.length}`;
  at("file").textContent = one.file;
  const next = state.pictures[place + 1];
  if (next) new Image().src = `pictures/${next.number}`;
  const done = state.pictures.filter((each) => each.emotion !== null).length;
  at("progress").value = done / state.pictures.length;
  const rest = done === state.pictures.length ? " All are labelled." : "";
  at("place").textContent = `Picture ${place + 1} of ${state.pictures.length}, ${done} labelled.${rest}`;
  for (const button of at("answers").children) {
    button.setAttribute("aria-pressed", String(button.dataset.emotion === one.emotion));
  }
  at("doubt").setAttribute("aria-pressed", String(one.doubtful));
  at("said").replaceChildren(...Object.entries(one.said).map(([name, mark]) =>
    made("p", `${name}: ${words(mark.emotion)}${mark.doubtful ? ", doubtful" : ""}`)));
}

async function say(change) {
  const place = state.place;
  const one = state.pictures[place];
  const wanted = { file: one.file, emotion: one.emotion, doubtful: one.doubtful, ...change };
  await ask(`people/${encodeURIComponent(state.name)}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wanted),
  });
  Object.assign(one, wanted);
  return place;
}

const unlabelled = (from) => state.pictures.findIndex((one, at) => at >= from && one.emotion === null);

async function answer(emotion) {
  const wasLast = state.pictures[state.place].emotion === null;
  const place = await say({ emotion });
  const [later, first] = [unlabelled(place + 1), unlabelled(0)];
  // the last one ends it: a key too many must not change the label that was just given
  if (first < 0 && wasLast) await overview();
  else show(later >= 0 ? later : first >= 0 ? first : Math.min(place + 1, state.pictures.length - 1));
}

async function doubt() {
  const one = state.pictures[state.place];
  if (one.emotion === null) {
    // the doubt belongs to the label that follows
    one.doubtful = !one.doubtful;
    show(state.place);
  } else show(await say({ doubtful: !one.doubtful }));
}

const takeBack = async () => show(await say({ emotion: null, doubtful: false }));
const move = (by) => show(Math.min(Math.max(state.place + by, 0), state.pictures.length - 1));

// One thing after the other: a second key waits until the label before it is kept.
let before = Promise.resolve();
function attempt(work) {
  before = before.then(work).then(
    () => { at("message").textContent = ""; },
    (error) => { at("message").textContent = `Not kept: ${error.message}`; },
  );
}

function answers() {
  const named = state.all.categories.map((name, number) => [name, String(number + 1)]);
  return [...named, [state.all.no_face, "0"]];
}

function onKey(event) {
  if (state.name === null || event.ctrlKey || event.altKey || event.metaKey) return;
  const chosen = answers().find(([, key]) => key === event.key);
  const moves = { ArrowLeft: -1, ArrowRight: 1 };
  if (chosen) attempt(() => state.name && answer(chosen[0]));
  else if (event.key in moves) attempt(() => move(moves[event.key]));
  else if (event.key.toLowerCase() === "d") attempt(doubt);
  else if (event.key === "Delete" || event.key === "Backspace") attempt(takeBack);
  else if (event.key === "Escape") attempt(overview);
  else return;
  event.preventDefault();
}

async function start() {
  await overview();
  at("answers").replaceChildren(...answers().map(([name, key]) => {
    const button = made("button", `${words(name)} `, { "data-emotion": name, "aria-pressed": "false" });
    button.append(made("kbd", key));
    button.addEventListener("click", () => attempt(() => answer(name)));
    return button;
  }));
}

at("who").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = at("name").value.trim();
  if (name) attempt(() => begin(name));
});
at("settle").addEventListener("click", () => attempt(() => begin(state.all.settled)));
at("leave").addEventListener("click", () => attempt(overview));
at("doubt").addEventListener("click", () => attempt(doubt));
at("back").addEventListener("click", () => attempt(() => move(-1)));
at("on").addEventListener("click", () => attempt(() => move(1)));
at("clear").addEventListener("click", () => attempt(takeBack));
document.addEventListener("keydown", onKey);
attempt(start);
