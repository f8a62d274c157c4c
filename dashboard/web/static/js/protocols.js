// Sends a protocol, or pictures, sounds and videos of one, and says how far it is and what is wrong with them.

import { _ } from "./messages.js";

const form = document.getElementById("upload");
const progress = document.getElementById("upload-progress");
const stay = (event) => event.preventDefault();

function send(file, before, all) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not say how much was sent
    const words = { file: file.name, to: form.dataset.to ?? "", replace: document.getElementById("replace")?.checked ?? false };
    request.open("POST", `/api/v1/protocols/upload?${new URLSearchParams(words)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      progress.value = (before + event.loaded) / Math.max(1, all);
    };
    request.onerror = () => reject(_("The dashboard cannot be reached."));
    request.onload = () => {
      if (request.status === 401) {
        window.removeEventListener("beforeunload", stay);
        window.location.reload();
      } else if (request.status === 201) resolve(request.response.name);
      else reject(request.response?.detail ?? String(request.status));
    };
    request.send(file);
  });
}

async function sendAll(files) {
  const problem = document.getElementById("upload-problem");
  const button = form.querySelector("[type=submit]");
  const all = files.reduce((sum, file) => sum + file.size, 0);
  const [names, problems] = [[], []];
  let before = 0;
  window.addEventListener("beforeunload", stay); // who goes on now would lose what is not sent yet
  problem.hidden = true;
  progress.hidden = false;
  button.disabled = true;
  for (const file of files) {
    try {
      names.push(await send(file, before, all));
    } catch (text) {
      problems.push(text);
    }
    before += file.size;
  }
  window.removeEventListener("beforeunload", stay);
  if (problems.length === 0) {
    if (form.dataset.to === undefined) window.location.assign(`/protocols/${names[0]}`);
    else window.location.reload();
    return;
  }
  for (const name of names) {
    const code = document.createElement("code");
    code.textContent = name;
    document.getElementById("media").appendChild(document.createElement("li")).append(code);
  }
  problem.textContent = problems.join("\n");
  problem.hidden = false;
  progress.hidden = true;
  button.disabled = false;
  form.reset();
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  sendAll([...form.querySelector("[type=file]").files]);
});
