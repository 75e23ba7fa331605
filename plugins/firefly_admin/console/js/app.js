// The console: who may see it, where one is, and the pages.

import { html, render, useCallback, useEffect, useState } from "./lib.js";
import { act, session, tryToken, usePoll } from "./api.js";
import { since } from "./format.js";
import { Dot, Icon, Question, Toast, Trouble } from "./parts.js";
import { Commands } from "./commands.js";
import { Database } from "./database.js";
import { Logs } from "./logs.js";
import { Overview } from "./overview.js";
import { Playground } from "./playground.js";
import { ServerDrawer } from "./server_drawer.js";
import { Sessions } from "./sessions.js";

const PAGES = {
  overview: { title: "Overview", page: Overview },
  sessions: { title: "Sessions", page: Sessions },
  commands: { title: "Commands", page: Commands },
  database: { title: "Database", page: Database },
  logs: { title: "Logs", page: Logs },
  playground: { title: "Playground", page: Playground },
};

const where = () => (location.hash.replace(/^#\//, "") in PAGES ? location.hash.slice(2) : "overview");

function SignIn({ onDone }) {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await tryToken(token.trim());
      session.token = token.trim();
      onDone();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit}>
        <img src="/console/icon.svg" alt="" width="56" height="56" />
        <h1>Firefly console</h1>
        <p>The token is in the file <code>admin.token</code>, in the folder <code>var</code> beside firefly.toml, or what <code>token</code> says there.</p>
        <label>Token
          <input type="password" autocomplete="off" autofocus required value=${token} onInput=${(event) => setToken(event.target.value)} /></label>
        <${Trouble} problem=${problem} />
        <button class="primary" disabled=${busy}>Enter</button>
      </form>
    </main>`;
}

const SIGNS = { ready: "up", degraded: "down", reloading: "waiting", stopping: "waiting" };

function health(topology) {
  const gone = topology.servers.filter((server) => !["up", "apart"].includes(server.state)).length;
  if (gone) return { state: "down", text: `${gone} of ${topology.servers.length} not up` };
  const said = topology.supervisor?.state ?? "ready";
  return { state: SIGNS[said] ?? "up", text: said === "ready" ? "all up" : said };
}

function Rail({ at, topology, onOut }) {
  return html`
    <nav class="rail" aria-label="Pages">
      <a class="brand" href="#/overview"><img src="/console/icon.svg" alt="" width="28" height="28" /><span>${topology?.name ?? "Firefly"}</span></a>
      ${Object.entries(PAGES).map(([name, { title }]) => html`
        <a key=${name} href=${`#/${name}`} aria-current=${at === name ? "page" : null}><${Icon} name=${name} /><span>${title}</span></a>`)}
      <button class="plain out" onClick=${onOut}><${Icon} name="out" /><span>Sign out</span></button>
    </nav>`;
}

function Head({ at, topology, problem, onAsk }) {
  const { state, text } = topology ? health(topology) : { state: "waiting", text: "…" };
  const now = topology ? `looked ${since(topology.time)} ago` : "";
  return html`
    <header class="head">
      <h1>${PAGES[at].title}</h1>
      <span class="pill" data-state=${problem ? "down" : state} title=${now}><${Dot} state=${problem ? "down" : state} /> ${problem ? problem.message : text}</span>
      <span class="grow"></span>
      <button class="quiet" title="Tell everybody something" onClick=${() => onAsk("notice")}><${Icon} name="bell" /><span class="wide-only"> Notice</span></button>
      ${topology?.supervisor && html`<button class="quiet" title="Reload" onClick=${() => onAsk("reload")}><${Icon} name="reload" /><span class="wide-only"> Reload</span></button>`}
    </header>`;
}

const ASKED = {
  notice: {
    title: "A notice to every player", verb: "Send", fields: [{ name: "text", label: "Text", required: true }],
    run: async ({ text }) => `told to ${(await act("notice", { text })).told} players`,
  },
  reload: {
    title: "Reload?", verb: "Reload",
    text: "firefly.toml and the handlers of every server are read again. Where anything is wrong, nothing is changed.",
    run: async () => {
      const { supervisor: report } = await act("reload");
      const problems = [...(report?.problems ?? []), ...Object.values(report?.processes ?? {}).flatMap((each) => each.problems ?? [])];
      if (problems.length) throw new Error([...new Set(problems)].join("\n"));
      const changed = new Set(Object.values(report?.processes ?? {}).flatMap((each) => each.changed ?? []));
      return changed.size ? `in force: ${[...changed].join(", ")}` : "nothing had changed";
    },
  },
};

function House({ onOut }) {
  const [at, setAt] = useState(where());
  const [topology, problem, hurry] = usePoll("topology", 2000);
  const [opened, setOpened] = useState(null);
  const [asked, setAsked] = useState(null);
  const [said, setSaid] = useState(null);
  useEffect(() => {
    const follow = () => { setAt(where()); setOpened(null); scrollTo(0, 0); };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => { document.title = `${PAGES[at].title} · ${topology?.name ?? "Firefly"}`; }, [at, topology?.name]);
  const done = useCallback((text) => { setSaid(text); hurry(); }, []);
  const { page: Page } = PAGES[at];
  const server = opened && topology?.servers.find((each) => each.name === opened);
  return html`
    <div class="house">
      <${Rail} at=${at} topology=${topology} onOut=${onOut} />
      <main class="main">
        <${Head} at=${at} topology=${topology} problem=${problem} onAsk=${setAsked} />
        ${topology ? html`<${Page} topology=${topology} onOpen=${setOpened} onDone=${done} />` : html`<${Trouble} problem=${problem} />`}
      </main>
      ${server && html`<${ServerDrawer} server=${server} supervised=${Boolean(topology.supervisor)} onClose=${() => setOpened(null)} onDone=${done} />`}
      ${asked && html`
        <${Question} ...${ASKED[asked]} onClose=${() => setAsked(null)} onDo=${async (values) => done(await ASKED[asked].run(values))} />`}
      ${said && html`<${Toast} text=${said} onDone=${() => setSaid(null)} />`}
    </div>`;
}

function App() {
  const [inside, setInside] = useState(Boolean(session.token));
  useEffect(() => { session.onEnd = () => setInside(false); }, []);
  const leave = () => { session.token = null; setInside(false); };
  return inside ? html`<${House} onOut=${leave} />` : html`<${SignIn} onDone=${() => setInside(true)} />`;
}

render(html`<${App} />`, document.getElementById("app"));
