// Types of firefly-client.js. `firefly-run commands --typescript` writes `Commands` and `Pushes` of a game:
//
//   import { Client } from "./firefly-client.js";
//   import type { Commands, Pushes } from "./meadow.js";
//
//   const client = new Client<Commands, Pushes>("ws://127.0.0.1:11010/");

/** What one command takes and gives. */
export interface Command {
  request: unknown;
  answer: unknown;
}

/** Any command, for games whose types are not written down. */
export interface AnyCommands {
  [command: string]: { request: any; answer: any };
  [id: number]: { request: any; answer: any };
}

/** Any push. */
export interface AnyPushes {
  [push: string]: any;
  [id: number]: any;
}

export type State = "connecting" | "open" | "waiting" | "ended";

/** What a request ends with when it has no answer. */
export declare class FireflyError extends Error {
  constructor(code: string, message: string, details?: { sent?: boolean; reason?: string });
  /** The server's own code, or "timeout", "disconnected", "overloaded", "too_long", "ended". */
  readonly code: string;
  /** With "disconnected": whether the request may have been executed. */
  readonly sent?: boolean;
  /** With "ended": "closed", or the reason of the server's goodbye. */
  readonly reason?: string;
}

export interface Push<Body = unknown> {
  readonly id: number;
  readonly name: string;
  readonly body: Body;
  /** Its number in the session, 0 where it has none. */
  readonly seq: number;
}

export interface RequestOptions {
  /** Milliseconds until the answer must be there. */
  timeout?: number;
}

type Body<C> = C extends { request: infer Request } ? Request : never;
type Answer<C> = C extends { answer: infer Answer } ? Answer : never;
/** A body that may be null may be left out. */
type Arguments<Request> = null extends Request
  ? [body?: Request, options?: RequestOptions]
  : [body: Request, options?: RequestOptions];

/** What a login sends by: its requests go out before the session stands. Good for one attempt. */
export interface Login<Commands = AnyCommands> {
  request<Name extends keyof Commands>(
    command: Name,
    ...rest: Arguments<Body<Commands[Name]>>
  ): Promise<Answer<Commands[Name]>>;
}

/** Times are milliseconds, sizes bytes. */
export interface Limits {
  timeout: number;
  connectTimeout: number;
  heartbeat: number;
  window: number;
  queue: number;
  maxBody: number;
  ackPushes: number;
  ackBytes: number;
}

export interface Options<Commands = AnyCommands, Welcome = unknown> {
  /** Called on a line without a session: at first, and whenever the old session cannot be resumed. */
  login?: ((line: Login<Commands>) => Welcome | Promise<Welcome>) | null;
  /** Whether the session is resumed after the line was lost; true unless said otherwise. */
  resume?: boolean;
  limits?: Partial<Limits>;
  /** The constructor of WebSockets, where there is no global one. */
  WebSocket?: new (url: string) => unknown;
}

/** A player's line to a game. */
export declare class Client<Commands = AnyCommands, Pushes = AnyPushes, Welcome = unknown> {
  constructor(url: string, options?: Options<Commands, Welcome>);
  readonly state: State;
  /** Why it is in that state. */
  readonly reason: string;
  /** Connect and log in; gives what the login gave. Fails as the login did, with "ended", or with "disconnected". */
  connect(timeout?: number): Promise<Welcome>;
  /** Ask; ends in the answer's body or in a FireflyError. While the line is down it waits for the line. */
  request<Name extends keyof Commands>(
    command: Name,
    ...rest: Arguments<Body<Commands[Name]>>
  ): Promise<Answer<Commands[Name]>>;
  /** Tell without wanting an answer; what was on the line when it broke may be lost. Throws FireflyError. */
  notify<Name extends keyof Commands>(
    command: Name,
    ...rest: null extends Body<Commands[Name]> ? [body?: Body<Commands[Name]>] : [body: Body<Commands[Name]>]
  ): void;
  /** Call the handler for each push of that name or id; gives a function that ends that. */
  on<Name extends keyof Pushes>(push: Name, handler: (body: Pushes[Name]) => void): () => void;
  /** Call the handler for every push. */
  onPush(handler: (push: Push) => void): () => void;
  /** Call the handler when the state changes; `error` is a login's that ended the client. */
  onState(handler: (state: State, reason: string, error?: unknown) => void): () => void;
  /** Call the handler when the session goes on but pushes were let go meanwhile: ask for the world anew. */
  onResync(handler: () => void): () => void;
  /** Leave the line without a word, to see how a program takes it. */
  drop(): void;
  /** Make the next attempt now, where one is waited for. */
  hurry(): void;
  /** Say goodbye and end; open requests fail with "ended". */
  close(): void;
}
