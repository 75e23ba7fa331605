// A client for games on Firefly, for browsers and node: it reconnects, resumes its session, and is this one file. It stays one
// file, however long: a page or a program takes it as it is, without a build.
//
//   import { Client } from "./firefly-client.js";
//
//   const client = new Client("ws://127.0.0.1:11010/", { login: (line) => line.request("login", { name: "Ada" }) });
//   client.on("chat", ({ name, text }) => console.log(name, text));
//   const welcome = await client.connect();
//   await client.request("say", { text: "hello" });
//
// It speaks the format `json` over WebSocket. Node before 22 has no WebSocket of its own: `{ WebSocket }` of the package
// ws does. Times are milliseconds, sizes bytes.

const LIMITS = {
  timeout: 10_000, // until a request must have its answer, waiting for the line included
  connectTimeout: 5_000, // until a line must stand
  heartbeat: 15_000, // of silence until the server is asked for a sign of life; after twice that the line is given up
  window: 32, // requests on the line at once; servers repeat 32 answers: more would not be safe to send again
  queue: 1024, // requests that may wait to be sent
  maxBody: 65_280, // the longest body; with what stands around it the server's `max_frame` (65536) bounds it too
  ackPushes: 8, // numbered pushes after which they are acknowledged at the latest
  ackBytes: 4096, // characters after which they are
};
const FIRST_DELAY = 100;
const DELAY_FACTOR = 1.6;
const LONGEST_DELAY = 5_000;
const LEFT_LINES = 4; // lines that were given up and not closed yet

/** Goodbyes after which it is worth coming back. */
const PASSING_REASONS = new Set([
  "server_stopping", "busy", "too_many_connections", "too_many_attempts", "frame_timeout", "login_timeout",
]);
/** Errors of a login, or a resume, that is worth another try. */
const PASSING_CODES = new Set(["unavailable", "overloaded", "timeout", "rate_limited", "disconnected"]);

/**
 * What a request ends with when it has no answer. `code` is the server's own ("bad_request", "too_far", ...), or one of
 * the client's: "timeout"; "disconnected" (the session was lost, and `sent` tells whether the request may have been
 * executed); "overloaded"; "too_long"; "ended" (the client has ended, `reason` says why).
 */
export class FireflyError extends Error {
  constructor(code, message, details = {}) {
    super(message || code);
    this.name = "FireflyError";
    this.code = code;
    Object.assign(this, details);
  }
}

const ended = (reason) => new FireflyError("ended", `the client has ended: ${reason}`, { reason });
const disconnected = (message, sent) => new FireflyError("disconnected", message, { sent });

/** What a login sends by: its requests go out before the session stands. Good for one attempt. */
class Login {
  #send;

  constructor(send) {
    this.#send = send;
  }

  /** Ask; the promise ends in the answer's body or in a FireflyError. */
  request(command, body, options) {
    return this.#send(command, body, options);
  }
}

/**
 * A player's line to a game.
 *
 * `login(line)` is called on a line without a session: at first, and whenever the old session cannot be resumed; it logs
 * in by `line.request(...)`. Without it there is nothing to resume.
 */
export class Client {
  /** "connecting", "open", "waiting" (for the next attempt) or "ended". */
  state = "ended";
  /** Why it is in that state. */
  reason = "not started";

  #url;
  #login;
  #resume;
  #limits;
  #WebSocket;
  #socket = null;
  #left = []; // lines that were given up: to close a WebSocket is to say goodbye, so not before the session goes on
  #phase = "none"; // dialing, resuming, login, token, ready
  #attempt = 0;
  #own = 0; // the id of the request that makes the session
  #token = null;
  #nonce = ""; // goes with the token, so that both can be sent again when the answer with the next one was lost
  #seq = 0; // the last push that has come
  #unsaidPushes = 0;
  #unsaidBytes = 0;
  #lastId = 0;
  #open = new Map(); // requests without an answer, by id, in order
  #queue = []; // what waits to be sent
  #delay = FIRST_DELAY;
  #lineTimer; // the next attempt, or the end of the one that runs, or the heartbeat
  #ready = null;
  #welcome;
  #handlers = new Map();
  #any = new Set();
  #states = new Set();
  #resyncs = new Set();
  #wakened = () => globalThis.document?.hidden || this.hurry();

  constructor(url, { login = null, resume = true, limits = {}, WebSocket = globalThis.WebSocket } = {}) {
    if (!WebSocket) throw new TypeError("there is no WebSocket here: give one, as the package ws has it");
    this.#url = url;
    this.#login = login;
    this.#resume = resume && login !== null;
    this.#limits = { ...LIMITS, ...limits };
    this.#WebSocket = WebSocket;
  }

  // ------------------------------------------------------------------------------------------------ for the player

  /**
   * Connect and log in; the promise ends in what the login gave. A server that is not there yet is waited for, for ever
   * with Infinity. It fails with what the login failed with, with "ended", or with "disconnected" when time is up.
   */
  connect(timeout = 10_000) {
    if (this.state === "ended") {
      this.#delay = FIRST_DELAY;
      this.#ready = withResolvers();
      this.#listen("addEventListener");
      this.#dial();
    }
    const { promise } = this.#ready;
    if (timeout === Infinity) return promise;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const late = disconnected(`no session within ${timeout} ms: ${this.reason}`, false);
        this.close();
        reject(late);
      }, timeout);
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** Ask; the promise ends in the answer's body or in a FireflyError. While the line is down it waits for the line. */
  request(command, body, { timeout = this.#limits.timeout } = {}) {
    return this.#ask(command, body, timeout, 0);
  }

  /** Tell without wanting an answer; what was on the line when it broke may be lost. Throws FireflyError. */
  notify(command, body) {
    this.#add({ id: null, command, body: this.#encode(command, body), until: Date.now() + this.#limits.timeout });
  }

  /** Call `handler(body)` for each push of that name or id; gives a function that ends that. */
  on(push, handler) {
    if (!this.#handlers.has(push)) this.#handlers.set(push, new Set());
    return register(this.#handlers.get(push), handler);
  }

  /** Call `handler({ id, name, body, seq })` for every push, before those of its name. */
  onPush(handler) {
    return register(this.#any, handler);
  }

  /** Call `handler(state, reason, error)` when the state changes; `error` is a login's that ended the client. */
  onState(handler) {
    return register(this.#states, handler);
  }

  /** Call `handler()` when the session goes on but pushes were let go meanwhile: ask for the world anew. */
  onResync(handler) {
    return register(this.#resyncs, handler);
  }

  /** Leave the line without a word, to see how a program takes it. */
  drop() {
    this.#hangUp("dropped");
  }

  /** Make the next attempt now, where one is waited for. */
  hurry() {
    if (this.state === "waiting") this.#dial();
  }

  /** Say goodbye and end; open requests fail with "ended". */
  close() {
    if (this.#isUp) this.#write(null, "goodbye", "null");
    this.#end("closed");
  }

  // ---------------------------------------------------------------------------------------------------- the line

  get #isUp() {
    return this.#phase !== "none" && this.#phase !== "dialing";
  }

  #dial() {
    this.#phase = "dialing";
    this.#become("connecting", "");
    this.#after(this.#limits.connectTimeout, () => this.#hangUp("connect_timeout"));
    let socket;
    try {
      socket = new this.#WebSocket(this.#url);
    } catch (error) {
      this.#end("bad_url", error);
      return;
    }
    this.#socket = socket;
    const own = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = own(() => this.#stand());
    socket.onmessage = own(({ data }) => this.#receive(String(data)));
    socket.onerror = () => {}; // `close` follows
    socket.onclose = own(({ reason }) => this.#lose(reason || "lost"));
  }

  #stand() {
    this.#watch();
    if (this.#token === null) {
      this.#beginSession();
    } else {
      this.#phase = "resuming";
      this.#askOwn("firefly.resume", { token: this.#token, nonce: this.#nonce });
    }
  }

  /** Look out for signs of life. */
  #watch() {
    this.#after(this.#limits.heartbeat, () => {
      this.#write(null, "ping", "null");
      this.#after(this.#limits.heartbeat, () => this.#hangUp("timeout"));
    });
  }

  #after(delay, act) {
    clearTimeout(this.#lineTimer);
    this.#lineTimer = setTimeout(act, delay);
  }

  /** Give the line up from this side. */
  #hangUp(reason) {
    if (this.#phase === "none") return;
    const socket = this.#socket;
    if (this.#isUp) {
      this.#left.push(socket);
      if (this.#left.length > LEFT_LINES) this.#left.shift().close();
    } else {
      socket?.close();
    }
    this.#lose(reason);
  }

  #lose(reason) {
    this.#socket = null;
    this.#phase = "none";
    for (const pending of this.#take((pending) => pending.urgent)) {
      pending.fail(disconnected(`the line was lost: ${reason}`, true));
    }
    if (this.#token === null) this.#forgetSession(reason);
    this.#after(this.#delay * (0.8 + 0.4 * Math.random()), () => this.#dial());
    this.#delay = Math.min(LONGEST_DELAY, this.#delay * DELAY_FACTOR);
    this.#become("waiting", reason);
  }

  #closeLeftLines() {
    for (const socket of this.#left.splice(0)) socket.close();
  }

  #end(reason, error) {
    if (this.state === "ended") return;
    clearTimeout(this.#lineTimer);
    this.#socket?.close();
    this.#closeLeftLines();
    this.#socket = this.#token = null;
    this.#phase = "none";
    this.#seq = 0;
    this.#queue = [];
    this.#listen("removeEventListener");
    for (const pending of this.#take(() => true)) pending.fail(ended(reason));
    this.#become("ended", reason, error);
    this.#ready.reject(error ?? ended(reason));
  }

  /** A device that is online again, or a page that is looked at again, does not wait for the next attempt. */
  #listen(method) {
    globalThis.window?.[method]?.("online", this.#wakened);
    globalThis.document?.[method]?.("visibilitychange", this.#wakened);
  }

  // -------------------------------------------------------------------------------------------------- the session

  async #beginSession() {
    if (this.#login === null) {
      this.#goOn();
      return;
    }
    this.#phase = "login";
    const attempt = ++this.#attempt;
    const isNow = () => this.#phase === "login" && attempt === this.#attempt;
    try {
      const send = (command, body, { timeout = this.#limits.timeout } = {}) => this.#ask(command, body, timeout, attempt);
      this.#welcome = await this.#login(new Login(send));
    } catch (error) {
      if (!isNow()) return;
      if (PASSING_CODES.has(error?.code)) this.#hangUp(error.code);
      else this.#end(error?.code ?? "login_failed", error);
      return;
    }
    if (!isNow()) return;
    this.#closeLeftLines();
    if (this.#resume) {
      this.#phase = "token";
      this.#askOwn("firefly.token", null);
    } else {
      this.#goOn();
    }
  }

  #goOn() {
    this.#phase = "ready";
    this.#delay = FIRST_DELAY;
    this.#become("open", "");
    this.#ready.resolve(this.#welcome);
    this.#flush();
  }

  #forgetSession(reason) {
    this.#seq = 0;
    this.#failSent(`the session was lost: ${reason}`);
  }

  /** Fail what was sent and not answered: nobody can say whether it was executed. */
  #failSent(reason) {
    for (const pending of this.#take((pending) => pending.sent)) pending.fail(disconnected(reason, true));
  }

  /** Take the answer to firefly.resume or firefly.token. */
  #takeOwn({ body, error }) {
    if (this.#phase === "resuming" && PASSING_CODES.has(error?.code)) {
      this.#hangUp(error.code); // the token is good all the same
      return;
    }
    this.#token = body?.token ?? null;
    this.#nonce = randomText();
    if (this.#phase === "token") {
      this.#goOn();
    } else if (this.#token === null) {
      this.#forgetSession("it cannot be resumed");
      this.#beginSession();
    } else {
      this.#closeLeftLines();
      if (body.repeats === false) this.#failSent("it goes on at another server");
      for (const pending of this.#open.values()) {
        if (pending.sent) this.#write(pending.id, pending.command, pending.body);
      }
      if (body.resync) tell(this.#resyncs);
      this.#goOn();
    }
  }

  // ------------------------------------------------------------------------------------------------- what comes

  #receive(text) {
    this.#watch();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this.#hangUp("bad_message");
      return;
    }
    if (message?.id != null) this.#takeAnswer(message);
    else if (typeof message?.cmd === "number") this.#takePush(message, text.length);
    else if (message?.cmd === "ping") this.#write(null, "pong", "null");
    else if (message?.cmd === "goodbye") this.#takeGoodbye(message.body?.reason ?? "");
  }

  #takeAnswer(message) {
    const pending = this.#open.get(message.id);
    if (!pending) return; // its time was over
    this.#open.delete(message.id);
    clearTimeout(pending.timer);
    if (message.id === this.#own) this.#takeOwn(message);
    else if (message.error) pending.fail(new FireflyError(message.error.code, message.error.message));
    else pending.done(message.body);
    this.#flush();
  }

  #takePush({ cmd, name = "", body, seq = 0 }, size) {
    if (seq) {
      if (seq <= this.#seq) return; // it came before the line was lost
      this.#seq = seq;
      this.#unsaidPushes += 1;
      this.#unsaidBytes += size;
      if (this.#unsaidPushes >= this.#limits.ackPushes || this.#unsaidBytes >= this.#limits.ackBytes) {
        this.#write(null, "ack", "null");
      }
    }
    tell(this.#any, { id: cmd, name, body, seq });
    for (const key of [name, cmd]) tell(this.#handlers.get(key) ?? [], body);
  }

  #takeGoodbye(reason) {
    if (!PASSING_REASONS.has(reason)) {
      this.#end(reason);
      return;
    }
    this.#socket.close();
    this.#lose(reason);
  }

  // --------------------------------------------------------------------------------------------------- what goes

  #ask(command, body, timeout, attempt) {
    return new Promise((done, fail) => {
      const id = ++this.#lastId;
      const pending = { id, command, body: this.#encode(command, body), sent: false, urgent: attempt > 0, done, fail };
      if (pending.urgent && !(this.#phase === "login" && attempt === this.#attempt)) {
        throw disconnected("the line of this login is lost", false);
      }
      pending.timer = setTimeout(() => this.#giveUp(pending), timeout);
      try {
        this.#add(pending);
      } catch (error) {
        clearTimeout(pending.timer);
        throw error;
      }
    });
  }

  #giveUp(pending) {
    this.#open.delete(pending.id);
    pending.fail(new FireflyError("timeout", `no ${pending.sent ? "answer" : "connection"} in time for ${pending.command}`));
    this.#flush();
  }

  /** Send a request that makes the session. */
  #askOwn(command, body) {
    const id = (this.#own = ++this.#lastId);
    const nothing = () => {};
    const timer = setTimeout(() => this.#hangUp("timeout"), this.#limits.timeout);
    this.#add({ id, command, body: JSON.stringify(body), sent: false, urgent: true, timer, done: nothing, fail: nothing });
  }

  #encode(command, body = null) {
    const text = JSON.stringify(body) ?? "null";
    const { maxBody } = this.#limits;
    if (text.length * 3 > maxBody && new TextEncoder().encode(text).length > maxBody) {
      throw new FireflyError("too_long", `a body of over ${maxBody} bytes for ${command}`);
    }
    return text;
  }

  #add(pending) {
    if (this.state === "ended") throw ended(this.reason);
    if (pending.urgent) {
      this.#open.set(pending.id, pending);
      this.#send(pending);
      return;
    }
    if (this.#queue.length >= this.#limits.queue) this.#queue = this.#queue.filter((each) => this.#isWanted(each));
    if (this.#queue.length >= this.#limits.queue) {
      throw new FireflyError("overloaded", `${this.#limits.queue} requests wait already`);
    }
    if (pending.id !== null) this.#open.set(pending.id, pending);
    this.#queue.push(pending);
    this.#flush();
  }

  /** Whether somebody still waits for it, or (a notify) its time is not over. */
  #isWanted({ id, until }) {
    return id === null ? until > Date.now() : this.#open.has(id);
  }

  #flush() {
    if (this.#phase !== "ready" || !this.#queue.length) return;
    let room = this.#limits.window;
    for (const pending of this.#open.values()) if (pending.sent) room -= 1;
    while (this.#queue.length && (room > 0 || this.#queue[0].id === null)) {
      const pending = this.#queue.shift();
      if (!this.#isWanted(pending)) continue;
      if (pending.id !== null) room -= 1;
      this.#send(pending);
    }
  }

  #send(pending) {
    pending.sent = true;
    this.#write(pending.id, pending.command, pending.body);
  }

  #write(id, command, body) {
    if (this.#socket?.readyState !== 1) return; // it is ending; what has an id is sent again on the next line
    const head = id === null ? "" : `"id":${id},`;
    const tail = this.#seq ? `,"ack":${this.#seq}` : "";
    this.#unsaidPushes = this.#unsaidBytes = 0;
    this.#socket.send(`{${head}"cmd":${JSON.stringify(command)},"body":${body}${tail}}`);
  }

  /** Let go those requests, and give them. */
  #take(which) {
    const taken = [...this.#open.values()].filter(which);
    for (const pending of taken) {
      this.#open.delete(pending.id);
      clearTimeout(pending.timer);
    }
    return taken;
  }

  #become(state, reason, error) {
    if (state === this.state) return;
    this.state = state;
    this.reason = reason;
    tell(this.#states, state, reason, error);
  }
}

function register(handlers, handler) {
  handlers.add(handler);
  return () => handlers.delete(handler);
}

/** Call handlers; one that fails harms nobody else. */
function tell(handlers, ...values) {
  for (const handler of [...handlers]) {
    try {
      handler(...values);
    } catch (error) {
      console.error("a handler has failed", error);
    }
  }
}

/** Give 32 letters that nobody can guess. */
function randomText() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function withResolvers() {
  const deferred = {};
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }));
  deferred.promise.catch(() => {}); // nobody may be waiting for it
  return deferred;
}
