// The db-cache: what waits to be written, what was refused, and how well the memory serves.

import { html, useState } from "./lib.js";
import { act, usePoll } from "./api.js";
import { bytes, clock, count, figure, percent, seconds, words } from "./format.js";
import { Card, Empty, Figures, Question, Tile, Trouble } from "./parts.js";

function Owner({ name, figures }) {
  const owner = figures.journal_bytes !== undefined;
  if (!owner) {
    return html`<${Card} title=${name}><${Figures} rows=${Object.entries(figures).map(([key, value]) => [words(key), figure(key, value)])} /><//>`;
  }
  const late = figures.unflushed_seconds;
  return html`
    <${Card} title=${name} aside=${figures.refusing ? html`<span class="pill" data-state="down">takes no changes</span>` : html`<span class="pill" data-state="up">serving</span>`}>
      <div class="tiles inner">
        <${Tile} label="Oldest unflushed" value=${seconds(late)} state=${late > 60 ? "down" : late > 5 ? "waiting" : null} hint=${`${count(figures.unflushed_rows)} rows wait`} />
        <${Tile} label="Dead letters" value=${count(figures.dead_letters)} state=${figures.dead_letters ? "down" : null} hint="refused by the database" />
        <${Tile} label="Journal" value=${bytes(figures.journal_bytes)} hint=${`${count(figures.journal_syncs_total)} syncs`} />
        <${Tile} label="Hit rate" value=${percent(figures.hit_rate)} hint=${`${count(figures.database_reads_total)} reads of the database`} />
        <${Tile} label="Flush" value=${seconds(figures.flush_seconds)} hint=${`${count(figures.flushed_rows_total)} rows so far`} />
        <${Tile} label="Conflicts" value=${count(figures.conflicts_total)} hint=${`${count(figures.commits_total)} commits`} />
      </div>
      <details><summary>All figures</summary><${Figures} rows=${Object.entries(figures).map(([key, value]) => [words(key), figure(key, value)])} /></details>
    <//>`;
}

function Letters({ letters, onAsk }) {
  return html`
    <table class="table">
      <thead><tr><th>Table</th><th>Key</th><th>Reason</th><th class="side">Since</th><th></th></tr></thead>
      <tbody>${letters.map((letter) => html`
        <tr key=${`${letter.server} ${letter.name}`}>
          <td>${letter.table}</td><td><code>${String(letter.key)}</code></td><td class="wrap">${letter.error}</td><td class="side">${clock(letter.time)}</td>
          <td class="number nowrap"><button class="link" onClick=${() => onAsk("retry", letter)}>Retry</button> <button class="link bad" onClick=${() => onAsk("drop", letter)}>Drop</button></td>
        </tr>`)}</tbody>
    </table>`;
}

const TEXTS = {
  retry: "The change is given to the database again.",
  drop: "The change is thrown away for good. What the database holds stays as it is.",
};

export function Database({ onDone }) {
  const [answer, problem, hurry] = usePoll("db", 2500);
  const [asked, setAsked] = useState(null);
  const owners = Object.entries(answer?.servers ?? {});
  return html`
    <${Trouble} problem=${problem} />
    ${answer && !owners.length && html`<${Card}><${Empty}>No server has a db-cache. <code>[servers.X.db-cache]</code> in firefly.toml starts one.<//><//>`}
    ${owners.map(([name, figures]) => html`<${Owner} key=${name} name=${name} figures=${figures} />`)}
    ${owners.length > 0 && html`
      <${Card} title="Dead letters">
        ${answer.letters.length ? html`<${Letters} letters=${answer.letters} onAsk=${(action, letter) => setAsked({ action, letter })} />`
          : html`<${Empty}>The database has refused nothing.<//>`}
      <//>`}
    ${asked && html`
      <${Question} title=${`${asked.action === "retry" ? "Retry" : "Drop"} ${asked.letter.table} ${asked.letter.key}?`} text=${TEXTS[asked.action]}
        verb=${asked.action === "retry" ? "Retry" : "Drop"} danger=${asked.action === "drop"} onClose=${() => setAsked(null)}
        onDo=${async () => { await act(asked.action, { server: asked.letter.server, name: asked.letter.name }); onDone(`${asked.action} was done`); hurry(); }} />`}`;
}
