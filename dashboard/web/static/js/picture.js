// The page Picture: takes pictures, shows what was read in one, and makes a table of many.

import { csvText } from "./csv.js";
import { _, figure, nearest, ngettext, said } from "./messages.js";
import { movementsText, poseText } from "./movements.js";
import { drawEvidence, drawPicture, evidenceText } from "./picture_drawing.js";
import { PictureProblem, decoded, droppedFiles, prepared, readPicture } from "./picture_sending.js";
import { REGISTERS } from "./registers.js";

const byId = (id) => document.getElementById(id);
const start = JSON.parse(byId("picture-start").textContent);
const percent = (value) => `${Math.round(value * 100)} %`;
const PICTURE_NAME = /\.(jpe?g|jfif|png|webp|bmp|tiff?|gif|p[gp]m|heic|heif|avif|jxl)$/i;
const results = []; // {file, name, answer, problem, remark} in their order
let working = null; // what ends the present reading

const pictureCount = (count) => ngettext("{n} picture", "{n} pictures", count);

/** Say in words what was read in a face. */
function nameOf(face) {
  if (face.flaw) return _("not read");
  return face.uncertain ? _("uncertain, nearest: {emotion}", { emotion: said(nearest(face.probabilities)) }) : said(face.emotion);
}

function describe({ name, answer, remark }) {
  const faces = answer.faces.map((face, index) => {
    const why = face.flaw ? ` (${said(start.flaws[face.flaw])})` : ` ${percent(Math.max(...Object.values(face.probabilities)))}`;
    return `${_("Face {number}", { number: index + 1 })}: ${nameOf(face)}${why}`;
  });
  const size = `${name}, ${_("{width} × {height} pixels", answer)}${remark ? ` (${remark})` : ""}`;
  return `${size}. ${faces.length ? `${faces.join("; ")}.` : _("No face was found.")} ${_("Read by {model}.", { model: `${answer.model.name} ${answer.model.version}` })}`;
}

function faceCard(face, index, picture) {
  const card = byId("face").content.firstElementChild.cloneNode(true);
  const part = (name) => card.querySelector(`[data-${name}]`);
  part("name").textContent = `${_("Face {number}", { number: index + 1 })}: ${nameOf(face)}`;
  card.classList.toggle("is-flawed", Boolean(face.flaw));
  if (face.flaw) {
    part("flaw").textContent = said(start.flaws[face.flaw]);
    part("flaw").hidden = false;
  }
  for (const line of part("bars").children) {
    const value = face.probabilities[line.dataset.emotion];
    line.querySelector(".bar-fill").style.width = `${value * 100}%`;
    line.querySelector("[data-value]").textContent = percent(value);
  }
  const doubt = face.flaw ? ` ${_("Results for such a face are often wrong, however sure the model is.")}` : "";
  part("facts").textContent = _("Quality {quality}, score of the detector {score}.", { quality: figure(face.quality, 2), score: figure(face.score, 2) }) + doubt;
  if (face.pose) {
    const head = _("Head: {pose}.", { pose: poseText(face.pose) });
    // A head that is turned away has a pose and no movements.
    const moves = face.movements ? ` ${_("Movements: {movements}.", { movements: movementsText(face.movements, start.movements) })}` : "";
    part("movements").textContent = head + moves;
    part("movements").hidden = false;
  }
  if (face.evidence) showEvidence(card, face, picture);
  return card;
}

function showEvidence(card, face, picture) {
  const select = card.querySelector("[data-category]");
  const canvas = card.querySelector("canvas");
  const show = () => {
    drawEvidence(canvas, picture, face.evidence, select.value);
    const text = evidenceText(face.evidence, select.value);
    canvas.setAttribute("aria-label", `${_("Evidence for {emotion}.", { emotion: said(select.value) })} ${text}`);
    card.querySelector("[data-evidence-text]").textContent = text;
  };
  const { probabilities } = face;
  select.value = nearest(probabilities);
  select.addEventListener("change", show);
  card.querySelector("[data-evidence]").hidden = false;
  show();
}

async function show(result, picture = undefined) {
  const drawn = picture === undefined ? await decoded(result.file) : picture;
  const { answer } = result;
  byId("shown").hidden = false;
  byId("shown-title").textContent = result.name;
  byId("shown-text").textContent = describe(result) + (drawn ? "" : ` ${_("This browser cannot show the picture itself.")}`);
  // what was sent may be smaller than the file: boxes and evidence are in pixels of what was sent
  const same = drawn && drawn.width !== answer.width ? await createImageBitmap(drawn, { resizeWidth: answer.width, resizeHeight: answer.height }) : drawn;
  drawPicture(byId("picture"), same, answer);
  byId("faces").replaceChildren(...answer.faces.map((face, index) => faceCard(face, index, same)));
}

function cell(tag, content, className = "") {
  const element = document.createElement(tag);
  element.append(content);
  element.className = className;
  return element;
}

/** Name a cell for the phone, where a row is a card without a head. */
function labelled(label, element) {
  element.dataset.label = label;
  return element;
}

function nameCell(result) {
  const head = cell("th", result.name);
  head.scope = "row";
  if (!result.answer) return head;
  const button = cell("button", result.name, "button-link");
  button.type = "button";
  button.addEventListener("click", async () => {
    await show(result);
    byId("shown-title").focus();
  });
  head.replaceChildren(button);
  return head;
}

function addRows(result) {
  const faces = result.answer?.faces ?? [];
  const lines = faces.map((face, index) => [
    labelled(_("Face"), cell("td", String(index + 1), "number")),
    cell("td", nameOf(face)),
    labelled(_("Probability"), cell("td", face.flaw ? "–" : percent(Math.max(...Object.values(face.probabilities))), "number")),
    labelled(_("Quality"), cell("td", figure(face.quality, 2), "number")),
    cell("td", [face.flaw ? said(start.flaws[face.flaw]) : "", result.remark].filter(Boolean).join("; ")),
  ]);
  if (!lines.length) {
    const only = cell("td", result.problem ?? _("no face was found"), result.problem ? "is-bad" : "");
    only.colSpan = 5;
    lines.push([only]);
  }
  for (const line of lines) {
    const row = document.createElement("tr");
    row.append(nameCell(result), ...line);
    byId("rows").append(row);
  }
  byId("all").hidden = results.length < 2;
}

function csvRows() {
  const box = ["x", "y", "box_width", "box_height"];
  const head = ["file", "width", "height", "face", ...box, "score", "quality", "flaw", "emotion", "uncertain", ...start.emotions, ...REGISTERS.pose, ...REGISTERS.look, ...Object.keys(start.movements), "problem"];
  const rows = results.flatMap(({ name, answer, problem }) => {
    const size = [answer?.width ?? "", answer?.height ?? ""];
    if (!answer?.faces.length) return [[name, ...size, ...Array(head.length - 4).fill(""), problem ?? "no face"]];
    return answer.faces.map((face, index) => [
      ...[name, ...size, index + 1, ...face.box, face.score, face.quality],
      ...[face.flaw ?? "", face.emotion ?? "", face.uncertain],
      ...start.emotions.map((emotion) => face.probabilities[emotion]),
      ...REGISTERS.pose.map((name) => face.pose?.[name] ?? ""),
      ...REGISTERS.look.map((name) => face.look?.[name] ?? ""),
      ...Object.keys(start.movements).map((name) => face.movements?.[name] ?? ""),
      "",
    ]);
  });
  return [head, ...rows];
}

function saveCsv() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvText(csvRows())], { type: "text/csv" }));
  link.download = "pictures.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function readOne(file, signal) {
  const result = { file, name: file.webkitRelativePath || file.name || _("pasted picture"), remark: "" };
  try {
    const picture = await decoded(file);
    const { body, remark } = await prepared(file, picture, start.limits, start.types);
    result.remark = remark;
    result.answer = await readPicture(body, signal);
    results.push(result);
    await show(result, picture);
  } catch (error) {
    if (!(error instanceof PictureProblem)) throw error;
    result.problem = error.message;
    results.push(result);
  }
  addRows(result);
  return result;
}

function say(text, bad = false) {
  byId("said").textContent = text;
  byId("said").classList.toggle("is-bad", bad);
}

async function readAll(files) {
  const pictures = files.filter((file) => file.type.startsWith("image/") || PICTURE_NAME.test(file.name) || files.length === 1);
  if (!pictures.length) {
    if (files.length) say(_("There is no picture among these files."), true);
    return;
  }
  working?.abort();
  const own = new AbortController();
  working = own;
  byId("working").hidden = pictures.length === 1;
  const problems = [];
  try {
    for (const [index, file] of pictures.entries()) {
      byId("share").value = index / pictures.length;
      say(pictures.length === 1 ? _("Reading the picture…") : _("Reading picture {number} of {all}…", { number: index + 1, all: pictures.length }));
      const result = await readOne(file, own.signal);
      if (result.problem) problems.push(`${result.name}: ${result.problem}`);
    }
    const read = ngettext("{n} picture read.", "{n} pictures read.", pictures.length - problems.length);
    say(problems.length ? `${read} ${problems.slice(0, 3).join(" ")}${problems.length > 3 ? ` ${_("{n} in all were not read; the table says why.", { n: problems.length })}` : ""}` : read, problems.length > 0);
  } catch (error) {
    if (!own.signal.aborted) throw error;
    if (working === own) say(_("Stopped. In the table: {pictures}.", { pictures: pictureCount(results.length) }));
  } finally {
    if (working === own) byId("working").hidden = true;
  }
}

for (const button of document.querySelectorAll("[data-opens]")) {
  const input = byId(button.dataset.opens);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // the same file may be chosen again
    readAll(files);
  });
}
// elsewhere the browser would open a folder instead of a camera
document.querySelector("[data-opens=take]").hidden = navigator.maxTouchPoints === 0;
byId("stop").addEventListener("click", () => working?.abort());
byId("csv").addEventListener("click", saveCsv);

const drop = byId("drop");
for (const [name, isOver] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(name, (event) => {
    event.preventDefault(); // else the browser leaves the page to show the file
    drop.classList.toggle("is-dropping", isOver);
  });
}
document.addEventListener("drop", async (event) => readAll(await droppedFiles(event.dataTransfer)));
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) readAll(files);
});
