// Runs aedes behind the doors that are named: aedes_doors.cjs CA CERTIFICATE KEY transport:kind:port …
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const net = require("node:net");
const tls = require("node:tls");
const { WebSocketServer, createWebSocketStream } = require("ws");

const [ca, cert, key, ...doors] = process.argv.slice(2);
const broker = require("aedes")();

function secrets(kind) {
  const own = { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
  if (kind === "tls") return own;
  return { ...own, ca: fs.readFileSync(ca), requestCert: true, rejectUnauthorized: true };
}

function server(transport, kind) {
  if (transport === "tcp") {
    if (kind === "plain") return net.createServer(broker.handle);
    return tls.createServer(secrets(kind), broker.handle);
  }
  const web = kind === "plain" ? http.createServer() : https.createServer(secrets(kind));
  const sockets = new WebSocketServer({ server: web, path: "/mqtt" });
  sockets.on("connection", (socket) => broker.handle(createWebSocketStream(socket)));
  return web;
}

for (const door of doors) {
  const [transport, kind, port] = door.split(":");
  server(transport, kind).listen(Number(port), "127.0.0.1");
}
