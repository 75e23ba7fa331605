// A chart over time, by uPlot; it takes the width that there is.

import { html, useEffect, useRef } from "./lib.js";

export const COLOURS = ["#ffd15c", "#7cc4ff", "#8ff0a4", "#ff9d7c", "#c9a6ff", "#5ce0d8", "#ff8fc7", "#c3cfe8"];
const INK = "#a9b8d6";
const GRID = { stroke: "rgba(170,200,255,.08)", width: 1 };

const MIB = 1024 * 1024;
const BINARY = Array.from({ length: 24 }, (_, power) => MIB * 2 ** (power - 6));

function options(width, height, series, write, binary) {
  return {
    width,
    height,
    padding: [10, 22, 0, 0],
    legend: { live: true, markers: { width: 0, fill: (chart, at) => chart.series[at].stroke() } },
    cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    scales: { y: { range: (_chart, _low, high) => [0, high > 0 ? high * 1.15 : 1] } },
    axes: [
      { stroke: INK, grid: GRID, ticks: GRID, size: 28, font: "11px system-ui",
        values: "{HH}:{mm}:{ss}" },
      { stroke: INK, grid: GRID, ticks: GRID, size: 66, font: "11px system-ui", ...(binary && { incrs: BINARY }),
        values: (_chart, ticks) => ticks.map(write) },
    ],
    series: [
      { label: "time", value: "{HH}:{mm}:{ss}" },
      ...series.map((line, at) => ({
        label: line.label,
        stroke: line.colour ?? COLOURS[at % COLOURS.length],
        fill: line.fill ? `${line.colour ?? COLOURS[at % COLOURS.length]}1f` : undefined,
        width: 1.75,
        points: { show: false },
        value: (_chart, value) => (value === null || value === undefined ? "–" : write(value)),
      })),
    ],
  };
}

/** `times` in seconds, `series` as `{ label, values, colour, fill }`, `write` gives a value as text. */
export function Chart({ times, series, write, height = 190, label, binary = false }) {
  const place = useRef(null);
  const chart = useRef(null);
  const shape = series.map((line) => line.label).join("|");
  useEffect(() => {
    const element = place.current;
    const width = () => Math.max(120, Math.floor(element.clientWidth));
    const made = new uPlot(options(width(), height, series, write, binary), [times, ...series.map((line) => line.values)], element);
    chart.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: width(), height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [shape, height]);
  useEffect(() => {
    const { current } = chart;
    current.setData([times, ...series.map((line) => line.values)]);
    // Where nobody points, the legend says how it is now.
    if (!(current.cursor.left >= 0)) current.setLegend({ idx: times.length - 1 });
  }, [times.at(-1), shape]);
  return html`<div class="chart" ref=${place} role="img" aria-label=${label}></div>`;
}
