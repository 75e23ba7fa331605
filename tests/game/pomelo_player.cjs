// A published Pomelo client, driven by lines of JSON: `pomelo_player.cjs KIND PORT NODE_MODULES`.
// In: `["request" | "notify", number, route, body]`. Out: `{answer, body}` and `{event, body}`.

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const vm = require("node:vm");

const [kind, port, modules] = process.argv.slice(2);
const load = (...parts) => require(path.join(modules, ...parts));
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const PUSHES = ["world", "chat", "caught", "left", "onKick", "heartbeat timeout", "close"];

/** The client for node. */
function nodeClient() {
  const Pomelo = load("pomelo-nodejsclient-websocket");
  const quiet = () => {};
  const logger = { debug: quiet, info: quiet, warn: quiet, error: (...words) => say({ event: "error", body: words.map(String) }) };
  const client = new Pomelo({ logger });
  return { client, request: (route, body, done) => client.request(route, body, (_, answer) => done(answer)) };
}

/** The client for browsers, with what it expects to find in `window`. */
function browserClient() {
  const { EventEmitter } = require("node:events");
  const window = { EventEmitter, Protocol: load("pomelo-protocol"), protobuf: undefined, location: {} };
  const context = vm.createContext({
    window, module: {}, WebSocket: load("ws"), console: { log() {}, warn() {}, error() {} }, setTimeout, clearTimeout, Date, JSON,
  });
  const file = path.join(modules, "pomelo-jsclient-websocket", "lib", "pomelo-client.js");
  vm.runInContext(fs.readFileSync(file, "utf8"), context);
  return { client: window.pomelo, request: (route, body, done) => window.pomelo.request(route, body, done) };
}

const { client, request } = kind === "node" ? nodeClient() : browserClient();
for (const push of PUSHES) client.on(push, (body) => say({ event: push, body: push === "close" ? null : body }));
client.init({ host: "127.0.0.1", port, user: {} }, () => say({ event: "ready" }));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [what, number, route, body] = JSON.parse(line);
  if (what === "request") request(route, body, (answer) => say({ answer: number, body: answer }));
  else client.notify(route, body);
});
