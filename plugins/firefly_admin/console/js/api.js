// The API: every request shows the token, which lives in this tab only.

import { useEffect, useRef, useState } from "./lib.js";

const KEY = "firefly.token";

export class Problem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const session = {
  get token() { return sessionStorage.getItem(KEY); },
  set token(value) {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  },
  onEnd: () => {},
};

async function request(path, options = {}) {
  const headers = { ...options.headers, Authorization: `Bearer ${options.token ?? session.token}` };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "the admin server does not answer");
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  const told = body?.error ?? { code: "unknown", message: `HTTP ${response.status}` };
  if (response.status === 401 && !options.token) {
    session.token = null;
    session.onEnd();
  }
  throw new Problem(response.status, told.code, told.message);
}

/** Give the token to the server once; throws Problem when it is not the one. */
export const tryToken = (token) => request("/api/topology", { token });

export const get = (path, signal) => request(`/api/${path}`, { signal });

export const act = (action, order = {}) => request(`/api/${action}`, {
  method: "POST",
  headers: { "Content-Type": "application/json", "X-Firefly-Admin": "1" },
  body: JSON.stringify(order),
});

/**
 * Ask for a path again and again while the page can be seen: `[value, problem, hurry]`. The value of before stays
 * while the next one is on its way; a problem stays until something is answered.
 */
export function usePoll(path, every = 2000) {
  const [state, setState] = useState({ value: null, problem: null });
  const hurry = useRef(() => {});
  useEffect(() => {
    if (!path) return undefined;
    let timer = 0, abort = null, ended = false, asked = 0;
    const look = async () => {
      clearTimeout(timer);
      abort?.abort();
      const mine = ++asked;
      abort = new AbortController();
      try {
        const value = await get(path, abort.signal);
        if (!ended && mine === asked) setState({ value, problem: null });
      } catch (problem) {
        if (problem.name === "AbortError" || ended || mine !== asked) return;
        setState((before) => ({ value: before.value, problem }));
      }
      if (!ended && mine === asked && every && !document.hidden) timer = setTimeout(look, every);
    };
    const onShow = () => { if (!document.hidden) look(); };
    hurry.current = look;
    document.addEventListener("visibilitychange", onShow);
    look();
    return () => {
      ended = true;
      clearTimeout(timer);
      abort?.abort();
      document.removeEventListener("visibilitychange", onShow);
    };
  }, [path, every]);
  return [state.value, state.problem, () => hurry.current()];
}
