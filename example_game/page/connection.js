// The line to the gate: JSON over a WebSocket. {"id", "cmd", "body"} goes out; {"id", "body"} or {"id", "error"} comes
// back; what comes without an id is a push. A lost line is dialled again, for ever, ever more slowly.

const CALL_TIMEOUT = 8000; // ms
const FIRST_DELAY = 300;
const LAST_DELAY = 5000;

export class CallError extends Error {
  constructor(code, message) {
    super(message || code);
    this.code = code;
  }
}

/** Events: "open"; "state" (detail: connecting | open | waiting | ended); "push" (detail: the message). */
export class Connection extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.state = "ended";
    this.delay = FIRST_DELAY;
    this.lastId = 0;
    this.waiting = new Map();
    window.addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  dial() {
    clearTimeout(this.timer);
    this.become("connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => {
      this.delay = FIRST_DELAY;
      this.become("open");
      this.dispatchEvent(new Event("open"));
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = () => socket === this.socket && this.lose();
  }

  /** Ask the server; the promise ends in the answer's body or in a CallError, always. */
  call(cmd, body) {
    if (this.state !== "open") return Promise.reject(new CallError("unavailable", "not connected"));
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.settle(id, { error: { code: "timeout", message: "no answer" } }), CALL_TIMEOUT);
      this.waiting.set(id, { resolve, reject, timer });
      this.socket.send(JSON.stringify({ id, cmd, body }));
    });
  }

  /** End for good: somebody else has taken over, or the player wants so. `dial` begins again. */
  end() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.fail("unavailable");
    this.become("ended");
  }

  receive(text) {
    const message = JSON.parse(text);
    if (message.cmd === "ping") this.socket.send('{"cmd":"pong"}');
    else if (message.id !== undefined && message.id !== null) this.settle(message.id, message);
    else this.dispatchEvent(new CustomEvent("push", { detail: message }));
  }

  settle(id, message) {
    const call = this.waiting.get(id);
    if (!call) return;
    this.waiting.delete(id);
    clearTimeout(call.timer);
    if (message.error) call.reject(new CallError(message.error.code, message.error.message));
    else call.resolve(message.body);
  }

  fail(code) {
    for (const id of [...this.waiting.keys()]) this.settle(id, { error: { code, message: "the connection was lost" } });
  }

  lose() {
    this.socket = null;
    this.fail("unavailable");
    this.become("waiting");
    this.timer = setTimeout(() => this.dial(), this.delay * (0.8 + 0.4 * Math.random()));
    this.delay = Math.min(LAST_DELAY, this.delay * 1.6);
  }

  hurry() {
    if (this.state === "waiting") this.dial();
  }

  become(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
