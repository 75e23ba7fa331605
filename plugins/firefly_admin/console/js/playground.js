// A client in the page: it connects to a gate as a player would, sends commands, and shows answers and pushes.

import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { usePoll } from "./api.js";
import { clock, seconds } from "./format.js";
import { Card, Dot, Empty, Icon, Trouble } from "./parts.js";
import { example } from "./schema.js";

const KEPT = 300;

/** One connection: `state` is closed, connecting or open; `said` is everything that went over it. */
function useClient() {
  const socket = useRef(null);
  const waiting = useRef(new Map());
  const next = useRef(1);
  const [state, setState] = useState("closed");
  const [said, setSaid] = useState([]);
  const note = (line) => setSaid((before) => [...before, { ...line, key: `${performance.now()} ${Math.random()}`, time: Date.now() / 1000 }].slice(-KEPT));
  const hear = (event) => {
    let message;
    try { message = JSON.parse(event.data); } catch { note({ kind: "odd", text: "a message that is not JSON" }); return; }
    const sent = message.id === undefined ? null : waiting.current.get(message.id);
    waiting.current.delete(message.id);
    if (message.cmd === "goodbye" && !sent) note({ kind: "note", text: `the gate says goodbye: ${message.body?.reason ?? message.body ?? ""}` });
    else if (message.error) note({ kind: "error", name: sent?.name ?? "", body: message.error, took: sent && (performance.now() - sent.at) / 1000 });
    else if (sent) note({ kind: "answer", name: sent.name, body: message.body, took: (performance.now() - sent.at) / 1000 });
    else note({ kind: "push", name: String(message.cmd ?? message.type ?? "push"), body: message.body });
  };
  const open = (url) => {
    socket.current?.close();
    setState("connecting");
    const made = new WebSocket(url);
    socket.current = made;
    made.onopen = () => { setState("open"); note({ kind: "note", text: `connected to ${url}` }); };
    made.onmessage = hear;
    made.onclose = (event) => {
      if (socket.current !== made) return;
      socket.current = null;
      waiting.current.clear();
      setState("closed");
      const why = event.reason || (event.code === 1006 ? "the gate did not let it in: is this page's address among the listener's origins?" : "");
      note({ kind: "note", text: `closed (${event.code})${why ? `: ${why}` : ""}` });
    };
  };
  const send = (name, body) => {
    const id = next.current++;
    waiting.current.set(id, { name, at: performance.now() });
    socket.current.send(JSON.stringify(body === undefined ? { id, cmd: name } : { id, cmd: name, body }));
    note({ kind: "sent", name, body });
  };
  const close = () => socket.current?.close(1000);
  useEffect(() => () => socket.current?.close(1000), []);
  return { state, said, open, send, close, clear: () => setSaid([]) };
}

const SIGN = { sent: "→", answer: "←", error: "✕", push: "⇠", note: "·", odd: "?" };

function Said({ line }) {
  return html`
    <li class="said" data-kind=${line.kind}>
      <span class="said-sign" aria-label=${line.kind}>${SIGN[line.kind]}</span>
      <div><div class="said-head">${line.text ?? html`<b>${line.name}</b>`}
        ${line.took !== undefined && line.took !== null && html`<small> ${seconds(line.took)}</small>`}<time>${clock(line.time, true)}</time></div>
        ${line.body !== undefined && html`<pre class="json">${JSON.stringify(line.body, null, 1)}</pre>`}</div>
    </li>`;
}

const reachable = (url) => {
  const found = new URL(url);
  if (["0.0.0.0", "[::]"].includes(found.hostname)) found.hostname = location.hostname;
  return found.href;
};

export function Playground() {
  const [ready, setReady] = useState(false);
  // Right after a start the servers are not seen yet: then it is asked again soon.
  const [described, problem] = usePoll("describe", ready ? 15000 : 1000);
  const client = useClient();
  const doors = useMemo(() => (described?.doors ?? []).filter((door) => /^wss?:/.test(door.url) && door.protocol === "json" && door.codec === "json"), [described]);
  const commands = useMemo(() => [...(described?.commands ?? [])].sort((a, b) => b.public - a.public || a.id - b.id), [described]);
  useEffect(() => setReady(doors.length > 0 && commands.length > 0), [doors, commands]);
  const [door, setDoor] = useState("");
  const [name, setName] = useState("");
  const [body, setBody] = useState("");
  const [wrong, setWrong] = useState("");
  const [quiet, setQuiet] = useState(false);
  const list = useRef(null);
  const chosen = commands.find((each) => each.name === name);
  const pick = (wanted) => {
    setName(wanted);
    const found = commands.find((each) => each.name === wanted);
    const made = found?.schema ? example(found.schema) : undefined;
    setBody(made === undefined ? "" : JSON.stringify(made, null, 2));
  };
  useEffect(() => { if (!name && commands.length) pick(commands[0].name); }, [commands]);
  useEffect(() => { if (list.current) list.current.scrollTop = list.current.scrollHeight; }, [client.said]);
  const submit = (event) => {
    event.preventDefault();
    try {
      client.send(name, body.trim() ? JSON.parse(body) : undefined);
      setWrong("");
    } catch (error) { setWrong(error.message); }
  };
  const url = reachable(door || doors[0]?.url || "ws://localhost");
  const open = client.state === "open";
  const shown = quiet ? client.said.filter((line) => line.kind !== "push") : client.said;
  return html`
    <${Trouble} problem=${problem} />
    <div class="two">
      <${Card} title="Client" aside=${html`<${Dot} state=${open ? "up" : client.state === "connecting" ? "waiting" : "idle"} /> ${client.state}`}>
        ${described && !doors.length && html`<${Empty}>No gate listens for WebSockets with the json protocol. Add a listener such as <code>ws://127.0.0.1:11010/</code> with <code>origins = ["${location.origin}"]</code>.<//>`}
        <form class="stack" onSubmit=${submit}>
          <div class="row">
            <select class="grow" aria-label="Gate" value=${door || doors[0]?.url} onChange=${(event) => setDoor(event.target.value)}>
              ${doors.map((each) => html`<option key=${`${each.server} ${each.url}`} value=${each.url}>${each.server}: ${each.url}</option>`)}
            </select>
            <button type="button" class=${open ? "quiet" : "primary"} disabled=${!doors.length} data-connect onClick=${() => (open ? client.close() : client.open(url))}>${open ? "Disconnect" : "Connect"}</button>
          </div>
          <label>Command
            <select value=${name} data-command onChange=${(event) => pick(event.target.value)}>
              ${commands.map((each) => html`<option key=${each.id} value=${each.name}>${each.name} (${each.id})${each.public ? ", public" : ""}</option>`)}
            </select></label>
          ${chosen?.help && html`<p class="hint">${chosen.help}</p>`}
          <label>Body, as JSON
            <textarea rows="8" spellcheck="false" value=${body} data-body onInput=${(event) => setBody(event.target.value)}
              onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && open && submit(event)}></textarea></label>
          ${wrong && html`<p class="trouble" role="alert">${wrong}</p>`}
          <button class="primary" disabled=${!open || !name} data-send><${Icon} name="send" /> Send</button>
        </form>
      <//>
      <${Card} title="Conversation" aside=${html`
        <label class="check"><input type="checkbox" checked=${quiet} onChange=${(event) => setQuiet(event.target.checked)} /> without pushes</label>
        <button class="link" onClick=${client.clear}>Clear</button>`}>
        ${shown.length ? html`<ol class="talk" ref=${list} tabindex="0" aria-label="What was sent and heard">${shown.map((line) => html`<${Said} key=${line.key} line=${line} />`)}</ol>`
          : html`<${Empty}>Connect, then send a command. Answers and pushes stand here.<//>`}
      <//>
    </div>`;
}
