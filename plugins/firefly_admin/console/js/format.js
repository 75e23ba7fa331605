// How figures are written: short, with their unit, and of one width where they stand below each other.

const UNITS = ["", "k", "M", "G", "T"];

export function count(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  let size = Math.abs(value), unit = 0;
  while (size >= 9999.5 && unit < UNITS.length - 1) { size /= 1000; value /= 1000; unit += 1; }
  const digits = unit && size < 100 ? 1 : 0;
  return `${value.toFixed(digits)}${UNITS[unit]}`;
}

export function rate(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (value < 0.05) return "<0.1";
  return value < 10 ? value.toFixed(1) : count(value);
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 ms";
  if (value < 0.0000995) return `${(value * 1e6).toFixed(0)} µs`;
  if (value < 0.00995) return `${(value * 1e3).toFixed(2)} ms`;
  if (value < 0.9995) return `${(value * 1e3).toFixed(0)} ms`;
  return value < 60 ? `${value.toFixed(1)} s` : span(value);
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  let unit = 0;
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  while (value >= 1024 && unit < names.length - 1) { value /= 1024; unit += 1; }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${names[unit]}`;
}

export const percent = (value) => (value === null || value === undefined ? "–" : `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`);

/** How long: 42 s, 3 min, 2 h 10 min, 5 d 3 h. */
export function span(value) {
  const whole = Math.max(0, Math.round(value));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const since = (moment, now = Date.now() / 1000) => (moment ? span(now - moment) : "–");

const two = (value) => String(value).padStart(2, "0");

export function clock(moment, fine = false) {
  const date = new Date(moment * 1000);
  const told = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fine ? `${told}.${String(date.getMilliseconds()).padStart(3, "0")}` : told;
}

/** A figure by what its name says that it is. */
export function figure(name, value) {
  if (/bytes/.test(name)) return bytes(value);
  if (/seconds/.test(name)) return /total/.test(name) || value >= 100 ? span(value) : seconds(value);
  if (/_rate$/.test(name)) return percent(value);
  return Number.isInteger(value) ? count(value) : rate(value);
}

export const words = (name) => name.replace(/_total$/, "").replaceAll("_", " ");
