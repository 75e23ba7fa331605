// The first page: what needs somebody, the cluster as a picture, and how it went in the last minutes.

import { html, useState } from "./lib.js";
import { usePoll } from "./api.js";
import { bytes, count, percent, rate, seconds } from "./format.js";
import { COLOURS, Chart } from "./chart.js";
import { Card, Dot, Empty, Tile } from "./parts.js";
import { reason, Topology } from "./topology.js";

/** What an operator should look at, the worst first: `{ state, text, to }`. */
function concerns(topology, samples) {
  const found = [];
  // One late beat is nothing: only what lasts is told.
  const lasting = samples.slice(-3);
  const late = (name) => lasting.length === 3 && Math.min(...lasting.map((sample) => sample.servers[name]?.lag ?? 0));
  for (const server of topology.servers) {
    const db = server.statistics?.["db-cache"];
    if (server.state !== "up" && server.state !== "apart") {
      const bad = ["down", "fatal"].includes(server.state);
      found.push({ state: bad ? "down" : "waiting", text: `${server.name} is ${server.state}. ${reason(server)}`, server: server.name });
    }
    else if (server.crash) {
      const often = server.crash.times > 1 ? `, ${count(server.crash.times)} times so far` : "";
      found.push({ state: "waiting", text: `${server.name} is up again: it ended ${seconds(server.crash.ago)} ago (${server.crash.ending})${often}.`, server: server.name });
    }
    if (late(server.name) > 0.1) found.push({ state: "waiting", text: `The hub of ${server.name} is late by ${seconds(late(server.name))}, again and again.`, server: server.name });
    if (db?.dead_letters > 0) found.push({ state: "down", text: `The database has refused ${count(db.dead_letters)} changes of ${server.name}.`, to: "#/database" });
    if (db?.refusing > 0) found.push({ state: "down", text: `The db-cache of ${server.name} takes no changes.`, to: "#/database" });
    if (db?.unflushed_seconds > 60) found.push({ state: "waiting", text: `${server.name} has changes that wait for the database since ${seconds(db.unflushed_seconds)}.`, to: "#/database" });
  }
  for (const [kind, name] of topology.off) found.push({ state: "waiting", text: `The ${kind} ${name} is switched off.`, to: "#/commands" });
  for (const channel of topology.channels) {
    if (!channel.connected) found.push({ state: "down", text: `${channel.between.join(" and ")} are not connected.` });
  }
  return found.sort((a, b) => (a.state === "down" ? 0 : 1) - (b.state === "down" ? 0 : 1));
}

function Concerns({ topology, samples, onOpen }) {
  const found = concerns(topology, samples);
  if (!found.length) return null;
  return html`
    <ul class="concerns" aria-label="What needs somebody">
      ${found.slice(0, 8).map(({ state, text, to, server }) => html`
        <li key=${text} data-state=${state}><${Dot} state=${state} /><span>${text}</span>
          ${to && html`<a href=${to}>Look</a>`}
          ${server && html`<button class="link" onClick=${() => onOpen(server)}>Look</button>`}
        </li>`)}
      ${found.length > 8 && html`<li>and ${found.length - 8} more</li>`}
    </ul>`;
}

const total = (sample, what) => Object.values(sample.servers).reduce((sum, server) => sum + (server[what] ?? 0), 0);
const worst = (sample, what) => Math.max(0, ...Object.values(sample.servers).map((server) => server[what] ?? 0));

function Tiles({ topology, samples }) {
  const last = samples.at(-1) ?? { servers: {} };
  const players = topology.servers.reduce((sum, server) => sum + (server.statistics?.gate?.players ?? 0), 0);
  const faults = total(last, "faults"), refusals = total(last, "errors") - faults;
  const lag = worst(last, "lag");
  const up = topology.servers.filter((server) => ["up", "apart"].includes(server.state)).length;
  const whole = topology.servers.length;
  return html`
    <div class="tiles">
      <${Tile} label="Servers" value=${`${up}/${whole}`} state=${up === whole ? "up" : "down"} hint=${up === whole ? "all here" : `${whole - up} missing`} />
      <${Tile} label="Players" value=${count(players)} hint=${`${count(total(last, "sessions"))} connections`} />
      <${Tile} label="Commands" value=${rate(total(last, "commands"))} unit="/s" hint=${`p50 ${seconds(worst(last, "p50"))}`} />
      <${Tile} label="p99" value=${seconds(worst(last, "p99"))} hint="of the slowest server" />
      <${Tile} label="Faults" value=${rate(faults)} unit="/s" state=${faults > 0 ? "down" : null} hint=${`${rate(refusals)}/s refused`} />
      <${Tile} label="Hub lag" value=${seconds(lag)} state=${lag > 0.1 ? "down" : lag > 0.03 ? "waiting" : null} hint="p99, the latest hub" />
    </div>`;
}

const CHARTS = {
  "Commands a second": { write: rate, lines: (samples) => [
    { label: "commands", values: samples.map((sample) => total(sample, "commands")), fill: true },
    { label: "refused", values: samples.map((sample) => total(sample, "errors") - total(sample, "faults")), colour: COLOURS[1] },
    { label: "faults", values: samples.map((sample) => total(sample, "faults")), colour: "#ff7a7a" },
  ] },
  Latency: { write: seconds, lines: (samples) => [
    { label: "p99", values: samples.map((sample) => worst(sample, "p99")), fill: true },
    { label: "p50", values: samples.map((sample) => worst(sample, "p50")), colour: COLOURS[1] },
  ] },
  Sessions: { write: count, lines: (samples) => [
    { label: "sessions", values: samples.map((sample) => total(sample, "sessions")), fill: true, colour: COLOURS[2] },
  ] },
  "Hub lag": { write: seconds, lines: (samples, names) => each(samples, names, "lag") },
  Processor: { write: percent, lines: (samples, names) => each(samples, names, "cpu") },
  Memory: { write: bytes, binary: true, lines: (samples, names) => each(samples, names, "resident") },
};

const each = (samples, names, what) => names.slice(0, 8).map((name) => ({
  label: name, values: samples.map((sample) => sample.servers[name]?.[what] ?? null),
}));

export function Charts({ samples, names }) {
  if (samples.length < 2) return html`<${Empty}>The charts begin as soon as there are two looks.<//>`;
  const times = samples.map((sample) => sample.time);
  return html`
    <div class="charts">
      ${Object.entries(CHARTS).map(([title, { write, lines, binary }]) => html`
        <${Card} key=${title} title=${title}>
          <${Chart} times=${times} series=${lines(samples, names)} write=${write} binary=${binary} label=${`${title} over time`} />
        <//>`)}
    </div>`;
}

export function Overview({ topology, onOpen }) {
  const [history] = usePoll("history", 2000);
  const samples = history?.samples ?? [];
  const [hidden, setHidden] = useState(false);
  return html`
    <${Concerns} topology=${topology} samples=${samples} onOpen=${onOpen} />
    <${Tiles} topology=${topology} samples=${samples} />
    <${Card} title="The cluster" class="wide" aside=${html`<button class="link" onClick=${() => setHidden(!hidden)}>${hidden ? "Show" : "Hide"}</button>`}>
      ${!hidden && html`<${Topology} topology=${topology} samples=${samples} onOpen=${onOpen} />`}
    <//>
    <${Charts} samples=${samples} names=${topology.servers.map((server) => server.name)} />`;
}
