// The cluster as a picture: servers as cards, channels as lines along which the calls flow, red where something is down.

import { html, useLayoutEffect, useRef, useState } from "./lib.js";
import { bytes, count, percent, rate, seconds } from "./format.js";
import { curve, layout } from "./layout.js";
import { Dot, Spark } from "./parts.js";

const remembered = new Map();

function useWidth() {
  const element = useRef(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(element.current);
    return () => watch.disconnect();
  }, []);
  return [element, width];
}

/** The figure that matters most for a server, and its course. */
export function mainFigure(server, samples) {
  const gate = server.statistics?.gate;
  const course = (what) => samples.map((sample) => sample.servers[server.name]?.[what] ?? 0);
  if (gate) return { value: count(gate.sessions), unit: gate.sessions === 1 ? "session" : "sessions", course: course("sessions") };
  if (server.rates?.commands || server.statistics?.node) {
    return { value: rate(server.rates.commands ?? 0), unit: "commands/s", course: course("commands") };
  }
  return { value: percent(server.rates?.cpu ?? 0), unit: "of a core", course: course("cpu") };
}

function Server({ server, place, card, samples, onOpen }) {
  const { value, unit, course } = mainFigure(server, samples);
  const up = server.state === "up";
  const said = up ? `${value} ${unit}` : server.state;
  return html`
    <button class="server" data-state=${server.state} data-server=${server.name} onClick=${() => onOpen(server.name)}
      aria-label=${`${server.name}: ${said}`}
      style=${{ transform: `translate(${place.x}px, ${place.y}px)`, width: `${card.width}px`, height: `${card.height}px` }}>
      <span class="server-head"><${Dot} state=${server.state} /><b>${server.name}</b>
        ${server.off?.length > 0 && html`<span class="mark" title="something is switched off">off</span>`}
        ${up && server.crash && html`<span class="mark bad" title=${`it ended ${seconds(server.crash.ago)} ago: ${server.crash.ending}`}>restarted</span>`}
        ${server.log?.error > 0 && html`<span class="mark bad" title="errors in its log">${count(server.log.error)}</span>`}
      </span>
      ${up ? html`
        <span class="server-main"><span><strong>${value}</strong> ${unit}</span><${Spark} values=${course.slice(-40)} width=${50} height=${24} /></span>
        <span class="server-foot">
          <span title="of one core">${percent(server.rates.cpu)}</span><span title="memory">${bytes(server.parts.process.resident_bytes)}</span>
          <span title="how late the hub is, at worst of a hundred times"><i>lag</i> ${seconds(server.rates.lag)}</span>
        </span>` : html`<span class="server-down"><strong>${server.state}</strong><span>${reason(server)}</span></span>`}
    </button>`;
}

export function reason(server) {
  const supervised = server.supervised;
  if (supervised?.ending && server.state !== "up") return `ended: ${supervised.ending}`;
  if (server.state === "apart") return "ready, but nothing connects it to the others";
  return server.problem || "";
}

function Players({ place, card, total, players }) {
  return html`
    <div class="server players" style=${{ transform: `translate(${place.x}px, ${place.y}px)`, width: `${card.width}px`, height: `${card.height}px` }}>
      <span class="server-head"><b>players</b></span>
      <span class="server-main"><span><strong>${count(players)}</strong> logged in</span></span>
      <span class="server-foot"><span>${count(total)} connected</span></span>
    </div>`;
}

function Line({ picture, one, other, state, perSecond }) {
  const path = curve(picture, one, other);
  if (!path) return null;
  const width = 1.5 + Math.min(4, Math.log10(1 + perSecond));
  const flowing = state === "up" && perSecond > 0.5;
  const pace = flowing ? Math.max(0.35, 2.4 - Math.log10(1 + perSecond) * 0.6) : 0;
  return html`
    <g class="line" data-state=${state}>
      <path d=${path.d} style=${{ strokeWidth: `${width}px` }} />
      ${flowing && html`<path class="flow" d=${path.d} style=${{ strokeWidth: `${width + 0.6}px`, animationDuration: `${pace}s` }} />`}
      ${state !== "up" && path.middle && html`<text x=${path.middle[0]} y=${path.middle[1]} class="bad">not connected</text>`}
      ${flowing && path.middle && html`<text x=${path.middle[0]} y=${path.middle[1] - 6}>${rate(perSecond)}/s</text>`}
    </g>`;
}

export function Topology({ topology, samples, onOpen }) {
  const [element, width] = useWidth();
  const servers = topology.servers;
  const picture = width ? layout(servers, width, remembered) : null;
  const sum = (what) => servers.reduce((total, server) => total + (server.statistics?.gate?.[what] ?? 0), 0);
  const states = new Map(servers.map((server) => [server.name, server.state]));
  return html`
    <div class="picture" ref=${element} style=${{ height: picture ? `${picture.height}px` : "220px" }}>
      ${picture && html`
        <svg width=${picture.width} height=${picture.height} aria-hidden="true">
          ${servers.filter((server) => server.statistics?.gate || (server.state !== "up" && /gate/.test(server.name))).map((server) => html`
            <${Line} key=${`players ${server.name}`} picture=${picture} one="players" other=${server.name}
              state=${server.state === "up" ? "up" : "down"} perSecond=${server.state === "up" ? doorRate(server, servers) : 0} />`)}
          ${topology.channels.map(({ between: [one, other], connected, per_second: perSecond }) => html`
            <${Line} key=${`${one} ${other}`} picture=${picture} one=${one} other=${other}
              state=${connected && states.get(one) !== "down" && states.get(other) !== "down" ? "up" : "down"} perSecond=${perSecond} />`)}
        </svg>
        <${Players} place=${picture.places.get("players")} card=${picture.card} total=${sum("sessions")} players=${sum("players")} />
        ${servers.map((server) => html`
          <${Server} key=${server.name} server=${server} place=${picture.places.get(server.name)} card=${picture.card}
            samples=${samples} onOpen=${onOpen} />`)}`}
    </div>`;
}

/** Commands a second through a gate: all of the cluster's, by its share of the sessions. */
function doorRate(gate, servers) {
  const gates = servers.filter((server) => server.statistics?.gate);
  const sessions = gates.reduce((total, server) => total + server.statistics.gate.sessions, 0);
  const commands = servers.reduce((total, server) => total + (server.rates?.commands ?? 0), 0);
  return sessions ? (commands * gate.statistics.gate.sessions) / sessions : 0;
}
