// The tail of every server's log, as it goes on.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { get } from "./api.js";
import { clock } from "./format.js";
import { Card, Empty, Icon, Search, Trouble, useSettled } from "./parts.js";

const KEPT = 800;
const LEVELS = ["debug", "info", "warning", "error"];

/** Lines that go on arriving while the page can be seen and is not paused. */
function useTail(server, level, text, paused) {
  const [lines, setLines] = useState([]);
  const [problem, setProblem] = useState(null);
  useEffect(() => { setLines([]); }, [server, level, text]);
  useEffect(() => {
    if (paused) return undefined;
    let timer = 0, ended = false, last = {};
    const abort = new AbortController();
    const look = async () => {
      try {
        const after = Object.entries(last).map(([name, number]) => `&after.${encodeURIComponent(name)}=${number}`).join("");
        const path = `logs?limit=300&level=${level}&server=${encodeURIComponent(server)}&q=${encodeURIComponent(text)}${after}`;
        const answer = await get(path, abort.signal);
        if (ended) return;
        const first = Object.keys(last).length === 0;
        // A server that was started anew counts from the beginning: then its lines are asked for from there.
        last = Object.fromEntries(Object.entries(answer.last).map(([name, number]) => [name, number < (last[name] ?? 0) ? 0 : number]));
        if (first) setLines(answer.lines);
        else if (answer.lines.length) setLines((before) => [...before, ...answer.lines].slice(-KEPT));
        setProblem(null);
      } catch (error) {
        if (!ended && error.name !== "AbortError") setProblem(error);
      }
      if (!ended) timer = setTimeout(look, document.hidden ? 8000 : 1200);
    };
    look();
    return () => { ended = true; clearTimeout(timer); abort.abort(); };
  }, [server, level, text, paused]);
  return [lines, problem];
}

function Line({ line }) {
  const fields = Object.entries(line.fields);
  return html`
    <li class="log-line" data-level=${line.level}>
      <time>${clock(line.time, true)}</time><span class="log-server">${line.server}</span>
      <span class="log-text">${line.event}${fields.map(([name, value]) => html` <span class="log-field">${name}=<b>${value}</b></span>`)}
        ${line.traceback && html`<details><summary>traceback</summary><pre>${line.traceback}</pre></details>`}</span>
    </li>`;
}

export function Logs({ topology }) {
  const [server, setServer] = useState("");
  const [level, setLevel] = useState("info");
  const [text, setText] = useState("");
  const [paused, setPaused] = useState(false);
  const wanted = useSettled(text);
  const [lines, problem] = useTail(server, level, wanted, paused);
  const list = useRef(null);
  const below = useRef(true);
  useLayoutEffect(() => { if (below.current && list.current) list.current.scrollTop = list.current.scrollHeight; }, [lines]);
  const onScroll = () => { below.current = list.current.scrollHeight - list.current.scrollTop - list.current.clientHeight < 40; };
  return html`
    <div class="row filter">
      <${Search} value=${text} onInput=${setText} label="Text in a line" />
      <select aria-label="Server" value=${server} onChange=${(event) => setServer(event.target.value)}>
        <option value="">all servers</option>
        ${topology.servers.map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select>
      <select aria-label="Least level" value=${level} onChange=${(event) => setLevel(event.target.value)}>
        ${LEVELS.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
      </select>
      <button class="quiet" aria-pressed=${paused} onClick=${() => setPaused(!paused)}><${Icon} name=${paused ? "playground" : "pause"} /> ${paused ? "Go on" : "Pause"}</button>
    </div>
    <${Trouble} problem=${problem} />
    <${Card} class="log-card">
      ${lines.length ? html`<ol class="log" ref=${list} onScroll=${onScroll} tabindex="0" aria-label="Log lines">${lines.map((line) => html`<${Line} key=${`${line.server} ${line.number} ${line.time}`} line=${line} />`)}</ol>`
        : html`<${Empty}>No lines like that, yet.<//>`}
    <//>`;
}
