// Passkeys: the browser makes one or signs with one, and the form around the button sends what it answers.

import { _ } from "./messages.js";

function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function toText(buffer) {
  if (!buffer) return undefined;
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function withBytes(list) {
  return (list ?? []).map((one) => ({ ...one, id: toBytes(one.id) }));
}

function sent(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    response[name] = toText(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: toText(credential.rawId), type: credential.type, response });
}

async function make(form) {
  const options = JSON.parse(form.dataset.options);
  return navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      user: { ...options.user, id: toBytes(options.user.id) },
      excludeCredentials: withBytes(options.excludeCredentials),
    },
  });
}

async function sign() {
  const answer = await fetch("/login/passkey/options", { method: "POST" });
  if (!answer.ok) throw new Error(_("The device did not answer as it should. Reload the page."));
  const options = await answer.json();
  return navigator.credentials.get({
    publicKey: { ...options, challenge: toBytes(options.challenge), allowCredentials: withBytes(options.allowCredentials) },
  });
}

function reason(error) {
  if (error.name === "InvalidStateError") return _("This phone, computer or key has a passkey for this account already.");
  if (error.name === "NotAllowedError") {
    return _("The browser did not go on: it was cancelled, took too long, found no passkey, or does not trust the certificate of this page.");
  }
  if (error.name === "SecurityError") return _("The browser knows no passkeys under this name, or does not trust the certificate of this page.");
  if (error.name === "NotSupportedError" || error.name === "ConstraintError") {
    return _("This phone, computer or key can keep no passkey that asks for a finger, a face or a PIN.");
  }
  return error.message;
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button[type=submit]");
  const problem = form.querySelector("[data-passkey-problem]");
  const show = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };
  if (!window.PublicKeyCredential) {
    show(_("This browser knows no passkeys here. It wants a host name and a certificate that it trusts."));
    button.disabled = true;
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    show("");
    button.disabled = true;
    try {
      const credential = await (form.dataset.passkey === "make" ? make(form) : sign());
      form.elements.answer.value = sent(credential);
      form.submit();
    } catch (error) {
      show(reason(error));
      button.disabled = false;
    }
  });
}
