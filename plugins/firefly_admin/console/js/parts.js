// Small parts that several pages use.

import { html, useEffect, useRef, useState } from "./lib.js";

const ICONS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-4H4zM14 8h6V4h-6z",
  sessions: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c.3-4 3-6 6.500-6s6.200 2 6.500 6M16 4.500a3.300 3.300 0 0 1 0 6.200M18 14.500c2 .8 3.300 2.600 3.500 5.500",
  commands: "M13 3 5 13.500h6L10 21l9-11.500h-6z",
  database: "M4 6c0-1.700 3.600-3 8-3s8 1.300 8 3-3.600 3-8 3-8-1.300-8-3zM4 6v12c0 1.700 3.600 3 8 3s8-1.300 8-3V6M4 12c0 1.700 3.600 3 8 3s8-1.300 8-3",
  logs: "M5 6h14M5 11h9M5 16h12M5 21h6",
  playground: "M6 4.500v15L19 12z",
  close: "M6 6l12 12M18 6 6 18",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l1.500 2h-15zM10 20.500a2.200 2.200 0 0 0 4 0",
  reload: "M20 12a8 8 0 1 1-2.400-5.700M20 3.500V8h-4.500",
  out: "M10 4H5v16h5M9 12h11M16.500 8l4 4-4 4",
  pause: "M8 5v14M16 5v14",
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500 21 21",
  send: "M4 12 20 4l-5 16-3.500-6.500z",
};

export const Icon = ({ name, label }) => html`
  <svg class="icon" viewBox="0 0 24 24" role=${label ? "img" : null} aria-label=${label} aria-hidden=${label ? null : "true"}>
    <path d=${ICONS[name]} />
  </svg>`;

export const Dot = ({ state }) => html`<span class="dot" data-state=${state} aria-hidden="true"></span>`;

export const Pill = ({ state, children }) => html`<span class="pill" data-state=${state}>${children}</span>`;

export const Tile = ({ label, value, unit, hint, state, children }) => html`
  <div class="tile" data-state=${state}>
    <div class="tile-label">${label}</div>
    <div class="tile-value">${value}${unit && html`<small> ${unit}</small>`}</div>
    ${hint && html`<div class="tile-hint">${hint}</div>`}
    ${children}
  </div>`;

export const Card = ({ title, aside, children, class: extra = "" }) => html`
  <section class=${`card ${extra}`}>
    ${(title || aside) && html`<header class="card-head"><h2>${title}</h2><div class="card-aside">${aside}</div></header>`}
    ${children}
  </section>`;

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

export const Trouble = ({ problem }) => problem && html`<p class="trouble" role="alert">${problem.message}</p>`;

/** Figures by name, one below the other. */
export const Figures = ({ rows }) => html`
  <dl class="figures">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

export const Search = ({ value, onInput, label, ...rest }) => html`
  <label class="search">
    <${Icon} name="search" />
    <input type="search" value=${value} onInput=${(event) => onInput(event.target.value)} placeholder=${label}
      aria-label=${label} autocomplete="off" spellcheck="false" ...${rest} />
  </label>`;

/** A value that follows another one once that has been quiet for a moment. */
export function useSettled(value, delay = 250) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delay);
    return () => clearTimeout(timer);
  }, [value, delay]);
  return settled;
}

/** A panel from the side (from below on a phone); Escape and a tap beside it close it. */
export function Drawer({ title, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    const element = dialog.current;
    element.showModal();
    return () => element.close();
  }, []);
  return html`
    <dialog class="drawer" ref=${dialog} onCancel=${(event) => { event.preventDefault(); onClose(); }}
      onClick=${(event) => event.target === dialog.current && onClose()}>
      <div class="drawer-inner">
        <header class="drawer-head"><h2>${title}</h2>
          <button class="plain" onClick=${onClose} aria-label="Close"><${Icon} name="close" /></button>
        </header>
        ${children}
      </div>
    </dialog>`;
}

/**
 * A question before something is done. `fields` are texts to fill in: `[{ name, label, value, required }]`.
 * `onDo(values)` may throw; its message is shown and the question stays.
 */
export function Question({ title, text, verb, danger, fields = [], onDo, onClose }) {
  const dialog = useRef(null);
  const [values, setValues] = useState(Object.fromEntries(fields.map((field) => [field.name, field.value ?? ""])));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    const element = dialog.current;
    element.showModal();
    return () => element.close();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await onDo(values);
      onClose();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`
    <dialog class="question" ref=${dialog} onCancel=${(event) => { event.preventDefault(); onClose(); }}>
      <form onSubmit=${submit}>
        <h2>${title}</h2>
        ${text && html`<p>${text}</p>`}
        ${fields.map((field) => html`
          <label key=${field.name}>${field.label}
            <input value=${values[field.name]} required=${field.required} maxlength="1000" autocomplete="off"
              onInput=${(event) => setValues({ ...values, [field.name]: event.target.value })} />
          </label>`)}
        <${Trouble} problem=${problem} />
        <div class="row end">
          <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
          <button class=${danger ? "danger" : "primary"} disabled=${busy} data-do>${busy ? "…" : verb}</button>
        </div>
      </form>
    </dialog>`;
}

/** A line that says what was done, for a few seconds. */
export function Toast({ text, onDone }) {
  useEffect(() => {
    const timer = setTimeout(onDone, 4000);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<div class="toast" role="status">${text}</div>`;
}

/** The last values of one figure as a line without axes. */
export function Spark({ values, width = 84, height = 22 }) {
  if (values.length < 2) return html`<svg class="spark" width=${width} height=${height} aria-hidden="true"></svg>`;
  const most = Math.max(...values, 1e-9);
  const step = width / (values.length - 1);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${(height - 1.5 - (value / most) * (height - 4)).toFixed(1)}`);
  return html`
    <svg class="spark" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
      <path class="spark-area" d=${`M0,${height} L${points.join(" L")} L${width},${height} Z`} />
      <polyline points=${points.join(" ")} />
    </svg>`;
}
