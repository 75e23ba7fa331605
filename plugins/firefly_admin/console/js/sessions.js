// Who is connected: search, details, a kick, a notice; and the groups.

import { html, useState } from "./lib.js";
import { act, usePoll } from "./api.js";
import { clock, count, since } from "./format.js";
import { Card, Drawer, Empty, Figures, Question, Search, Trouble, useSettled } from "./parts.js";

const PAGE = 50;

function Session({ session, onClose, onDone }) {
  const [asked, setAsked] = useState(null);
  const who = session.uid === null ? `session ${session.id}` : String(session.uid);
  return html`
    <${Drawer} title=${who} onClose=${onClose}>
      <${Figures} rows=${[
        ["session", html`<code>${session.id}</code>`], ["player", session.uid === null ? "not logged in" : String(session.uid)],
        ["address", session.address], ["gate", session.gate], ["speaks", `${session.protocol}, ${session.codec}`],
        ["here for", `${since(session.since)}, since ${clock(session.since)}`], ["commands on their way", count(session.open)],
        ["plays on", Object.values(session.routes).join(", ") || "this gate"],
        ["groups", session.groups.join(", ") || "none"],
      ]} />
      ${Object.keys(session.data).length > 0 && html`<h3>Data</h3><pre class="json">${JSON.stringify(session.data, null, 2)}</pre>`}
      <div class="row actions">
        ${session.uid !== null && html`<button class="quiet" onClick=${() => setAsked("notice")}>Send a notice</button>`}
        <button class="danger quiet" data-kick onClick=${() => setAsked("kick")}>Kick</button>
      </div>
    <//>
    ${asked === "kick" && html`
      <${Question} title=${`Kick ${who}?`} text="The client is told the reason, and its connection is closed." verb="Kick" danger
        fields=${[{ name: "reason", label: "Reason", value: "kicked", required: true }]} onClose=${() => setAsked(null)}
        onDo=${async ({ reason }) => { await act("kick", { session: session.id, reason }); onDone(`${who} was kicked`); onClose(); }} />`}
    ${asked === "notice" && html`
      <${Question} title=${`A notice to ${who}`} verb="Send" fields=${[{ name: "text", label: "Text", required: true }]}
        onClose=${() => setAsked(null)}
        onDo=${async ({ text }) => { const { told } = await act("notice", { text, uid: session.uid }); onDone(`told to ${told}`); }} />`}`;
}

function Table({ sessions, onOpen }) {
  return html`
    <table class="table">
      <thead><tr><th>Player</th><th>Address</th><th>Gate</th><th class="side">Speaks</th><th class="side">Groups</th><th class="number">Here for</th></tr></thead>
      <tbody>${sessions.map((session) => html`
        <tr key=${session.id} data-session=${session.id}>
          <td><button class="link strong" onClick=${() => onOpen(session)}>${session.uid === null ? "not logged in" : String(session.uid)}</button></td>
          <td><code>${session.address}</code></td><td>${session.gate}</td><td class="side">${session.protocol}</td>
          <td class="side">${session.groups.join(", ")}</td><td class="number">${since(session.since)}</td>
        </tr>`)}</tbody>
    </table>`;
}

function Groups() {
  const [answer, problem] = usePoll("groups", 4000);
  if (!answer) return html`<${Trouble} problem=${problem} />`;
  if (!answer.groups.length) return html`<${Empty}>There are no groups. A handler makes one with ctx.group(name).join(session).<//>`;
  return html`
    <table class="table">
      <thead><tr><th>Group</th><th>Gates</th><th class="number">Members</th></tr></thead>
      <tbody>${answer.groups.map(({ name, members, gates }) => html`
        <tr key=${name}><td>${name}</td><td>${Object.keys(gates).join(", ")}</td><td class="number">${count(members)}</td></tr>`)}</tbody>
    </table>`;
}

export function Sessions({ onDone }) {
  const [text, setText] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const [chosen, setChosen] = useState(null);
  const [tab, setTab] = useState("sessions");
  const wanted = useSettled(text);
  const [answer, problem, hurry] = usePoll(`sessions?limit=${limit}&q=${encodeURIComponent(wanted)}`, 3000);
  const done = (said) => { onDone(said); setTimeout(hurry, 150); };
  return html`
    <div class="tabs" role="tablist">
      ${["sessions", "groups"].map((name) => html`
        <button key=${name} role="tab" aria-selected=${tab === name} onClick=${() => setTab(name)}>${name === "sessions" ? "Sessions" : "Groups"}</button>`)}
    </div>
    ${tab === "groups" ? html`<${Card}><${Groups} /><//>` : html`
      <div class="row filter"><${Search} value=${text} onInput=${setText} label="Player, address, session or group" data-search /></div>
      <${Trouble} problem=${problem} />
      <${Card}>
        ${answer?.sessions.length ? html`<${Table} sessions=${answer.sessions} onOpen=${setChosen} />`
          : html`<${Empty}>${answer ? (wanted ? "Nobody like that is here." : "Nobody is connected.") : "…"}<//>`}
        ${answer && html`<footer class="card-foot"><span>${count(answer.sessions.length)} of ${count(answer.total)}</span>
          ${answer.total > limit && limit < 500 && html`<button class="link" onClick=${() => setLimit(Math.min(500, limit * 2))}>Show more</button>`}</footer>`}
      <//>`}
    ${chosen && html`<${Session} session=${chosen} onClose=${() => setChosen(null)} onDone=${done} />`}`;
}
