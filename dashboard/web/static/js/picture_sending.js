// Sends pictures to the device, one by one: scaled down where they are too large, again when it is busy.

import { _ } from "./messages.js";

const LARGEST = 0.92; // of the pixels that are read, for a picture that is scaled down
const TRIES = 30;

/** Why a picture was not read, in words for people. */
export class PictureProblem extends Error {}

/** Read what the browser can show of a file; null where it cannot. */
export async function decoded(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    return null;
  }
}

async function asJpeg(picture, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // as the device does with transparency
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  if (!blob) throw new PictureProblem(_("This browser could not scale the picture down. Use another program for that."));
  return blob;
}

/** Return what is to be sent of a file, as {body, remark}. */
export async function prepared(file, picture, limits, types) {
  const pixels = picture ? picture.width * picture.height : 0;
  const large = file.size > limits.bytes || pixels > limits.pixels;
  const foreign = file.type.startsWith("image/") && !types.includes(file.type);
  if (!picture) {
    if (file.size > limits.bytes) throw new PictureProblem(_("Larger than {size} MiB, and this browser cannot scale it down.", { size: limits.bytes / 1048576 }));
    return { body: file, remark: "" };
  }
  if (!large && !foreign) return { body: file, remark: "" };
  const scale = Math.min(1, Math.sqrt((LARGEST * limits.pixels) / pixels));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.floor(side * scale)));
  const body = await asJpeg(picture, width, height);
  if (scale === 1) return { body, remark: _("saved as JPEG by this browser") };
  return { body, remark: _("scaled down by this browser from {width} × {height}", { width: picture.width, height: picture.height }) };
}

const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

/** Send a picture and return what was read; throw a PictureProblem that says why not. */
export async function readPicture(body, signal) {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const answer = await ask(body, signal);
    if (answer.ok) return answer.json();
    const { detail } = await answer.json().catch(() => ({ detail: _("The dashboard answered {status}.", { status: answer.status }) }));
    if (answer.status === 401) throw new PictureProblem(_("Your login has ended. Reload this page and log in."));
    if (!answer.headers.has("Retry-After")) throw new PictureProblem(detail.replace(/^picture: /, ""));
    await pause(1000 * Number(answer.headers.get("Retry-After")), signal);
  }
  throw new PictureProblem(_("The device is busy with other pictures. Send this one later."));
}

async function ask(body, signal) {
  try {
    return await fetch("/api/v1/picture", { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new PictureProblem(_("The dashboard cannot be reached. Send the picture again when it is back."));
  }
}

/** All files of what was dropped, those in folders, too. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // a folder is told in pieces of a hundred
    const piece = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!piece.length) return (await Promise.all(found.map(filesIn))).flat();
    found.push(...piece);
  }
}
