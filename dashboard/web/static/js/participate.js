// The participant's page: shows what the dashboard says, and nothing else. No number of any measurement comes here.

const stage = document.getElementById("stage");
const address = stage.dataset.address;
const byId = (id) => document.getElementById(id);
const SCALES = JSON.parse(stage.dataset.scales);
let armed = false; // the participant has pressed or touched something: they are there, and sound may be played
let present = null;

const post = (path, body) =>
  fetch(`${address}/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });

function reveal(name) {
  for (const screen of stage.querySelectorAll(".screen")) screen.hidden = screen.id !== `screen-${name}`;
}

function silence() {
  for (const player of [byId("sound"), byId("video")]) {
    player.onended = null;
    player.onerror = null;
    player.pause();
  }
}

function speak(text) {
  byId("spoken").textContent = text;
}

function showText(text) {
  byId("text").textContent = text;
  reveal("text");
  speak(text);
}

async function play(player, shown) {
  const failed = () => post("failed", { step: shown.step });
  player.onerror = failed;
  player.onended = () => post("ended", { step: shown.step });
  const source = `${address}/media/${shown.step}`;
  if (!player.src.endsWith(source)) player.src = source;
  player.currentTime = shown.start_ms / 1000;
  try {
    await player.play();
  } catch (error) {
    if (error.name !== "AbortError") failed(); // aborted: something else is shown already
  }
}

function showPicture(shown) {
  const picture = byId("picture");
  picture.onerror = () => post("failed", { step: shown.step });
  picture.src = `${address}/media/${shown.step}`;
  reveal("picture");
}

function ask(scale) {
  const name = scale === "emotion" ? "felt" : "points";
  byId(`${name}-form`).reset();
  reveal(name);
  if (name === "points") {
    const { title, low, middle, high } = SCALES[scale];
    byId("points-title").textContent = title;
    byId("pole-low").textContent = low;
    byId("pole-middle").textContent = middle;
    byId("pole-high").textContent = high;
  }
  byId(`${name}-title`).focus(); // on no choice yet: the one with the focus would be chosen more often
}

function show(shown) {
  silence();
  speak("");
  present = shown;
  switch (shown.screen) {
    case "hello":
      if (!armed) {
        reveal("hello");
        byId("ready").focus();
      } else post("ready"); // the connection was lost for a moment; the participant is still here
      break;
    case "break":
    case "end":
      reveal(shown.screen);
      speak(byId(`screen-${shown.screen}`).textContent);
      break;
    case "scale":
      ask(shown.scale);
      break;
    default:
      if (shown.media === "picture") showPicture(shown);
      else if (shown.media !== null) {
        reveal(shown.media);
        play(byId(shown.media), shown);
      } else showText(shown.text);
  }
  if (shown.next_picture !== null && shown.next_picture !== undefined) new Image().src = `${address}/media/${shown.next_picture}`;
}

function arm() {
  if (armed) return;
  armed = true;
  document.documentElement.requestFullscreen?.().catch(() => {}); // where the browser allows it
  reveal("break");
  post("ready");
}

function choose(form, number) {
  const choice = form.querySelectorAll("input")[number];
  choice.checked = true;
  choice.focus();
}

function answer(value) {
  if (present?.screen !== "scale") return;
  const { step } = present;
  present = null; // a second press of the key answers nothing twice
  post("answer", { step, value });
}

byId("ready").addEventListener("click", arm);
for (const form of [byId("points-form"), byId("felt-form")]) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = new FormData(form).values().next().value;
    answer(form.id === "points-form" ? Number(value) : value);
  });
  form.querySelector("[data-decline]").addEventListener("click", () => answer(null));
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (present?.screen === "hello" && !armed && (event.key === " " || event.key === "Enter")) {
    event.preventDefault();
    arm();
    return;
  }
  const form = stage.querySelector(".screen:not([hidden]) form");
  if (form === null || event.target.closest("button")) return;
  if (event.key === "Enter") {
    event.preventDefault();
    form.requestSubmit();
  } else if (/^[1-9]$/.test(event.key)) {
    choose(form, Number(event.key) - 1);
  } else if (event.key.startsWith("Arrow") && event.target.type !== "radio") {
    event.preventDefault();
    choose(form, form.id === "points-form" ? 4 : 0); // from there the browser itself follows the arrows
  }
});

const source = new EventSource(`${address}/events${window.location.search}`);
source.addEventListener("screen", (event) => {
  const shown = JSON.parse(event.data);
  show(shown);
  if (shown.screen === "end") source.close();
});
source.onerror = () => {
  silence();
  present = null;
  reveal("break");
};
