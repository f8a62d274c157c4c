// The seat that a standing session needs, drawn around the face that sits there now.

import { followFeed } from "./feed.js";
import { seatAround, seatOf } from "./framing.js";
import { _ } from "./messages.js";

const byId = (id) => document.getElementById(id);

function show(message) {
  const faces = message.faces.filter((face) => !face.picture);
  if (faces.length > 1) byId("seat-text").textContent = _("More than one face is in view: one person alone shows where the seat is.");
  if (faces.length !== 1 || faces[0].flaw) return; // the seat that was drawn last stays
  const seat = seatAround(faces[0].box);
  const { width, height } = message.frame;
  byId("seat-picture").setAttribute("viewBox", `0 0 ${width} ${height}`);
  byId("seat-picture").replaceChildren(...seatOf(seat.join(" "), message.frame));
  byId("seat-text").textContent = _("Dotted: the seat around the face that is in view now.");
  byId("seat-lines").hidden = false;
  byId("seat-lines").querySelector("pre").textContent = `whose = "seat"\nseat = [${seat.join(", ")}]`;
}

followFeed({ expression: show });
