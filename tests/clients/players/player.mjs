// A player driven by lines of JSON: `player.mjs URL NAME OPTIONS CLIENT WS`; see player.py.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [url, name, options, clientFile, wsFile] = process.argv.slice(2);
const { Client, FireflyError } = await import(pathToFileURL(clientFile));
const { WebSocket } = await import(pathToFileURL(wsFile));
const { limits = {}, ...others } = JSON.parse(options);
const MILLISECONDS = new Set(["timeout", "heartbeat"]);
const inMilliseconds = Object.fromEntries(
  Object.entries(limits).map(([key, value]) => [key, MILLISECONDS.has(key) ? value * 1000 : value]),
);

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const told = (error) => {
  if (!(error instanceof FireflyError)) return { kind: String(error) };
  const { code, message, sent, reason } = error;
  return { kind: error.name, code, message, sent, reason };
};

const client = new Client(url, {
  WebSocket,
  limits: inMilliseconds,
  ...others,
  login: async (line) => {
    const welcome = await line.request(1, name);
    say({ event: "login", result: welcome });
    return welcome;
  },
});
client.onPush((push) => say({ event: "push", id: push.id, name: push.name, body: push.body }));
client.on("news", (body) => say({ event: "news", body }));
client.on(2001, (body) => say({ event: "2001", body }));
client.onState((state, reason) => say({ event: "state", state, reason }));
client.onResync(() => say({ event: "resync" }));

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { n, do: what, args } = JSON.parse(line);
  try {
    const scaled = what === "connect" ? args.map((seconds) => seconds * 1000) : args;
    say({ n, result: (await client[what](...scaled)) ?? null });
  } catch (error) {
    say({ n, error: told(error) });
  }
});
