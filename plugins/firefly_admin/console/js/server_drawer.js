// One server, with every figure that it tells, and what can be done with it.

import { html, useState } from "./lib.js";
import { act } from "./api.js";
import { bytes, count, figure, percent, rate, seconds, since, words } from "./format.js";
import { Drawer, Figures, Pill, Question } from "./parts.js";
import { reason } from "./topology.js";

const ORDERS = {
  drain: { verb: "Drain", text: "It takes nothing new, finishes what it has, and stops. Its sessions go to other servers where there are any." },
  restart: { verb: "Restart", text: "It drains, stops, and is started again." },
  stop: { verb: "Stop", text: "It drains, stops, and stays away until it is restarted." },
};

const table = (figures) => Object.entries(figures).map(([name, value]) => [words(name), figure(name, value)]);

function About({ server }) {
  const { about, supervised } = server;
  const rows = [["state", html`<${Pill} state=${server.state}>${server.state}<//>`]];
  if (reason(server)) rows.push(["reason", reason(server)]);
  if (about) {
    rows.push(["up since", since(about.since)], ["process", `pid ${about.pid}, epoch ${about.epoch}`],
      ["version", `Firefly ${about.version}, Python ${about.python}`], ["code", about.code ? html`<code>${about.code.hash.slice(0, 12)}</code>, ${about.code.reloads} reloads` : "–"],
      ["services", about.services.join(", ") || "none"],
      ["seen", server.via ? `through ${server.via}` : "directly"]);
  }
  if (supervised) {
    rows.push(["starts", count(supervised.starts)]);
    if (supervised.ending) rows.push(["ended last", supervised.ending]);
    if (supervised.crash) rows.push(["ended by itself", `${count(supervised.crashes)} times, the last one ${since(supervised.crash.at)} ago: ${supervised.crash.ending}`]);
  }
  return html`<${Figures} rows=${rows} />`;
}

function Now({ server }) {
  const { rates, parts } = server;
  return html`<${Figures} rows=${[
    ["commands", `${rate(rates.commands)}/s`], ["errors", `${rate(rates.errors)}/s`],
    ["p50", seconds(rates.p50)], ["p99", seconds(rates.p99)], ["hub lag, p99", seconds(rates.lag)],
    ["processor", percent(rates.cpu)], ["memory", bytes(parts.process.resident_bytes)],
    ["open files", count(parts.process.open_files)],
  ]} />`;
}

export function ServerDrawer({ server, supervised, onClose, onDone }) {
  const [order, setOrder] = useState(null);
  return html`
    <${Drawer} title=${server.name} onClose=${onClose}>
      <${About} server=${server} />
      ${supervised && html`
        <div class="row actions">
          ${Object.entries(ORDERS).map(([action, { verb }]) => html`
            <button key=${action} class=${action === "restart" ? "quiet" : "danger quiet"} onClick=${() => setOrder(action)}>${verb}</button>`)}
        </div>`}
      ${server.about?.listens.length > 0 && html`
        <h3>Listens</h3>
        <${Figures} rows=${server.about.listens.map((listen) => [listen.service, html`<code>${listen.url}</code> ${listen.protocol ?? ""}`])} />`}
      ${server.state === "up" && html`
        <h3>Now</h3><${Now} server=${server} />
        ${Object.entries(server.statistics).map(([service, figures]) => html`
          <h3 key=${service}>${service}</h3><${Figures} rows=${table(figures)} />`)}
        ${Object.entries(server.parts).filter(([part]) => part !== "process").map(([part, figures]) => html`
          <h3 key=${part}>${part}</h3><${Figures} rows=${table(figures)} />`)}`}
    <//>
    ${order && html`
      <${Question} title=${`${ORDERS[order].verb} ${server.name}?`} text=${ORDERS[order].text} verb=${ORDERS[order].verb} danger
        onClose=${() => setOrder(null)}
        onDo=${async () => { await act(order, { process: server.name }); onDone(`${server.name}: ${order} is under way`); }} />`}`;
}
