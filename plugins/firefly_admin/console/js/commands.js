// Every handler: how often, how long, how it fails, and its switch.

import { html, useMemo, useState } from "./lib.js";
import { act, usePoll } from "./api.js";
import { count, rate, seconds } from "./format.js";
import { Card, Drawer, Empty, Figures, Question, Search, Trouble } from "./parts.js";

const TABS = {
  Commands: (kind) => kind === "command",
  Remotes: (kind) => kind === "remote",
  "Timers and moments": (kind) => !["command", "remote"].includes(kind),
};
const COLUMNS = {
  name: { title: "Handler", of: (handler) => handler.name, first: 1 },
  per_second: { title: "Per second", of: (handler) => handler.per_second, first: -1, number: true },
  p50: { title: "p50", of: (handler) => handler.p50, first: -1, number: true, side: true },
  p99: { title: "p99", of: (handler) => handler.p99, first: -1, number: true },
  errors: { title: "Errors", of: (handler) => sum(handler.errors), first: -1, number: true },
  runs: { title: "Runs", of: (handler) => handler.runs, first: -1, number: true, side: true },
};

const sum = (numbers) => Object.values(numbers).reduce((total, value) => total + value, 0);
const switchable = (handler) => ["command", "remote"].includes(handler.kind);

function Switch({ handler, onAsk }) {
  const off = handler.off.length > 0;
  return html`
    <button class="switch" role="switch" aria-checked=${!off} data-switch=${handler.name}
      aria-label=${`${handler.name} is switched ${off ? "off" : "on"}`} onClick=${() => onAsk(handler)}><i></i></button>`;
}

function Row({ handler, most, onOpen, onAsk }) {
  const errors = sum(handler.errors);
  return html`
    <tr data-handler=${handler.name} data-off=${handler.off.length > 0}>
      <td><button class="link strong" onClick=${() => onOpen(handler)}>${handler.name}</button>
        ${handler.kind === "command" && html`<small> ${handler.id}</small>`}${!["command", "remote"].includes(handler.kind) && html`<small> ${handler.kind.replace("on_", "")}</small>`}
        ${handler.off.length > 0 && html`<span class="mark bad">off</span>`}</td>
      <td class="number"><span class="bar" style=${{ "--share": most ? handler.per_second / most : 0 }}>${rate(handler.per_second)}</span></td>
      <td class="number side">${handler.runs ? seconds(handler.p50) : "–"}</td>
      <td class="number">${handler.runs ? seconds(handler.p99) : "–"}</td>
      <td class=${handler.faults ? "number bad" : "number"} title=${errors ? `${count(handler.faults)} faults, ${count(errors - handler.faults)} refused` : null}>${count(errors)}</td>
      <td class="number side">${count(handler.runs)}</td>
      <td class="number">${switchable(handler) && html`<${Switch} handler=${handler} onAsk=${onAsk} />`}</td>
    </tr>`;
}

function Details({ handler, described, onClose }) {
  const about = described?.find((each) => each.kind === handler.kind && each.name === handler.name);
  const rows = [["kind", handler.kind.replace("_", " ")]];
  if (handler.kind === "command") rows.push(["id", handler.id]);
  if (about) {
    if (about.help) rows.push(["does", about.help]);
    rows.push(["stands at", html`<code>${about.source.split("/").slice(-2).join("/")}</code>`]);
    if (about.public) rows.push(["public", "before login too"]);
    if (about.rate) rows.push(["rate", about.rate]);
    if (about.timeout) rows.push(["timeout", seconds(about.timeout)]);
    if (about.roles.length) rows.push(["roles", about.roles.join(", ")]);
  }
  rows.push(["runs", count(handler.runs)], ["per second", rate(handler.per_second)], ["p50", seconds(handler.p50)], ["p99", seconds(handler.p99)]);
  return html`
    <${Drawer} title=${handler.name} onClose=${onClose}>
      <${Figures} rows=${rows} />
      <h3>By server</h3>
      <${Figures} rows=${Object.entries(handler.servers).map(([server, each]) => [server, `${rate(each.per_second)}/s, ${count(each.runs)} runs${each.off ? ", off" : ""}`])} />
      ${sum(handler.errors) > 0 && html`<h3>Errors</h3><${Figures} rows=${Object.entries(handler.errors).map(([code, times]) => [code, count(times)])} />`}
      ${about?.schema && html`<h3>Body</h3><pre class="json">${JSON.stringify(about.schema, null, 2)}</pre>`}
    <//>`;
}

function Ask({ handler, onClose, onDone }) {
  const off = handler.off.length > 0;
  const which = handler.kind === "command" ? { command: handler.name } : { remote: handler.name };
  const verb = off ? "Switch on" : "Switch off";
  const text = off ? "It is run again by every server." : "Every server refuses it with the code “disabled”, after restarts too, until it is switched on again.";
  return html`
    <${Question} title=${`${verb} ${handler.name}?`} text=${text} verb=${verb} danger=${!off} onClose=${onClose}
      onDo=${async () => { await act(off ? "enable" : "disable", which); onDone(`${handler.name} is switched ${off ? "on" : "off"}`); }} />`;
}

export function Commands({ onDone }) {
  const [answer, problem, hurry] = usePoll("commands", 2000);
  const [described] = usePoll("describe", 30000);
  const [tab, setTab] = useState("Commands");
  const [text, setText] = useState("");
  const [order, setOrder] = useState({ by: "per_second", way: -1 });
  const [opened, setOpened] = useState(null);
  const [asked, setAsked] = useState(null);
  const about = useMemo(() => (described ? [...described.commands, ...described.remotes] : null), [described]);
  const shown = (answer?.handlers ?? []).filter((handler) => TABS[tab](handler.kind)
    && `${handler.name} ${handler.id}`.toLowerCase().includes(text.toLowerCase()));
  const { of } = COLUMNS[order.by];
  shown.sort((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : a.name < b.name ? -order.way : order.way) * order.way);
  const most = Math.max(0, ...shown.map((handler) => handler.per_second));
  const live = opened && (answer?.handlers.find((each) => each.kind === opened.kind && each.name === opened.name) ?? opened);
  return html`
    <div class="tabs" role="tablist">
      ${Object.keys(TABS).map((name) => html`<button key=${name} role="tab" aria-selected=${tab === name} onClick=${() => setTab(name)}>${name}</button>`)}
    </div>
    <div class="row filter"><${Search} value=${text} onInput=${setText} label="Name or id" /></div>
    <${Trouble} problem=${problem} />
    <${Card}>
      ${!shown.length ? html`<${Empty}>${answer ? "There is nothing like that." : "…"}<//>` : html`
        <table class="table">
          <thead><tr>${Object.entries(COLUMNS).map(([key, column]) => html`
            <th key=${key} class=${`${column.number ? "number" : ""} ${column.side ? "side" : ""}`} aria-sort=${order.by === key ? (order.way > 0 ? "ascending" : "descending") : "none"}>
              <button class="sort" onClick=${() => setOrder({ by: key, way: order.by === key ? -order.way : column.first })}>${column.title}</button></th>`)}<th class="number">On</th></tr></thead>
          <tbody>${shown.map((handler) => html`<${Row} key=${`${handler.kind} ${handler.name}`} handler=${handler} most=${most} onOpen=${setOpened} onAsk=${setAsked} />`)}</tbody>
        </table>`}
    <//>
    ${live && html`<${Details} handler=${live} described=${about} onClose=${() => setOpened(null)} />`}
    ${asked && html`<${Ask} handler=${asked} onClose=${() => setAsked(null)} onDone=${(said) => { onDone(said); hurry(); }} />`}`;
}
