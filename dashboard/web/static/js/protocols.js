// Sends a protocol, or a picture, sound or video of one, and says how far it is and what is wrong with it.

import { _ } from "./messages.js";

const form = document.getElementById("upload");

function send(file) {
  const problem = document.getElementById("upload-problem");
  const progress = document.getElementById("upload-progress");
  const button = form.querySelector("[type=submit]");
  const say = (text) => {
    problem.textContent = text;
    problem.hidden = text === "";
    progress.hidden = true;
    button.disabled = false;
  };
  const request = new XMLHttpRequest(); // fetch does not say how much was sent
  request.open("POST", `/api/v1/protocols/upload?${new URLSearchParams({ file: file.name, to: form.dataset.to ?? "" })}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  request.upload.onprogress = (event) => {
    progress.value = event.loaded / event.total;
  };
  request.onerror = () => say(_("The dashboard cannot be reached."));
  request.onload = () => {
    if (request.status === 401) window.location.reload();
    else if (request.status !== 201) say(request.response?.detail ?? String(request.status));
    else if (form.dataset.to === undefined) window.location.assign(`/protocols/${request.response.name}`);
    else window.location.reload();
  };
  say("");
  progress.hidden = false;
  button.disabled = true;
  request.send(file);
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  send(form.querySelector("[type=file]").files[0]);
});
