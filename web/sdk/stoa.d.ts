/* Types of stoa.mjs. Fields that travel on the wire keep the protocol's snake_case; times are Unix milliseconds. */

export type Priority = 'high' | 'normal';

export type State = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'closed' | 'failed';

/** One message of a room. Types that begin with `room.` come from the server itself. */
export interface Message<Body = unknown> {
  /** `"ms-n"`, strictly increasing per room and priority. */
  id: string;
  at: number;
  priority: Priority;
  type: string;
  from?: string;
  name?: string;
  body: Body;
}

/** What a poll answers. */
export interface Answer<Body = unknown> {
  cursor: string;
  /** All `high` first, then `normal`, each in the order of their ids. */
  messages: Message<Body>[];
  online: number;
  poll_after_ms: number;
  skipped: number;
  gap: boolean;
  /** The name given to an anonymous viewer. */
  user?: string;
}

export interface Page<Body = unknown> {
  /** Newest first. */
  messages: Message<Body>[];
  more: boolean;
}

export interface Receipt {
  id: string;
  at: number;
  /** An earlier attempt with the same key had already been stored. */
  duplicate?: true;
}

export interface RoomInfo {
  room: string;
  title: string;
  state: 'open' | 'closed';
  online: number;
  /** null where the server does not count. */
  unique?: number | null;
  sect: string | null;
  created_at: number;
  [setting: string]: unknown;
}

/** Keeps a cursor over a restart of the program; save() is awaited before the next poll. */
export interface CursorStore {
  load(): string | null | undefined | Promise<string | null | undefined>;
  save(cursor: string): unknown;
}

export interface RoomOptions {
  room: string;
  /** Origin of the server; by default the page's own. */
  url?: string;
  /** A token or an app's key; as a function it is called again when the server says 401. */
  token?: string | (() => string | Promise<string>);
  /** Whom to speak as, with an app's key or under `--dev`. */
  user?: string;
  /** How long a poll may be parked: 0 to 60, default 25. */
  timeout_s?: number;
  /** Normal messages per answer: 1 to 200, default 50. */
  limit?: number;
  /** Continue from here instead of joining with the newest messages. */
  cursor?: string;
  store?: CursorStore;
  /** Back-off: random() * min(cap, base * 2^n) on top of what the server asks. Defaults 500 and 10 000. */
  backoff_base_ms?: number;
  backoff_cap_ms?: number;
  /** Beyond its own timeout, how long a request may stay unanswered. Default 10 000. */
  hang_ms?: number;
  /** How long send() keeps trying. Default 15 000. */
  send_limit_ms?: number;

  /* Seams, for tests. */
  fetch?: typeof fetch;
  random?: () => number;
  now?: () => number;
  /** Must resolve early, not reject, when the signal is aborted. */
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export interface SendOptions {
  type?: string;
  priority?: Priority;
  /** With an app's key: on whose behalf. */
  from?: string;
  /** Idempotency-Key, 1 to 64 characters; by default a fresh one. */
  key?: string;
  send_limit_ms?: number;
  onRetry?: (retry: Retry) => void;
}

export interface Retry {
  error: ProblemError;
  retry_in_ms: number;
}

export interface StateChange {
  state: State;
  previous: State;
  error?: ProblemError;
  reason?: 'left' | 'room_closed';
}

export interface Gap {
  /** `retention`: the server no longer keeps what came next. `bad_cursor`: it did not know our cursor. */
  reason: 'retention' | 'bad_cursor';
}

export interface RoomEvents<Body = unknown> {
  /** In the order of the answer; never empty. */
  messages: Message<Body>[];
  online: number;
  /** So many normal messages that this reader will not get; told before the messages that follow them. */
  skipped: number;
  gap: Gap;
  state: StateChange;
  /** A poll failed and will be tried again. */
  retry: Retry;
  cursor: string;
}

export interface ProblemFields {
  status?: number;
  code?: string;
  title?: string;
  detail?: string;
  retry_after_ms?: number;
  cause?: unknown;
}

export class ProblemError extends Error {
  constructor(fields?: ProblemFields);
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The protocol's code, or `unreachable`, `timeout`, `bad_answer`, `no_token`, `left`, `http_<status>`. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly retry_after_ms?: number;
  readonly retryable: boolean;
  /** Of a failed send(): the key to hand back when trying again. */
  key?: string;
}

export class Room<Body = unknown> extends EventTarget {
  constructor(options: RoomOptions);
  readonly room: string;
  readonly state: State;
  readonly cursor: string | null;
  readonly user: string | null;

  on<Type extends keyof RoomEvents<Body>>(type: Type, listener: (detail: RoomEvents<Body>[Type]) => void): () => void;

  join(): Promise<Answer<Body>>;
  leave(): Promise<void>;
  wake(): void;
  send(body: Body, options?: SendOptions): Promise<Receipt>;
  history(range: { before: string; limit?: number }): Promise<Page<Body>>;
  info(): Promise<RoomInfo>;
}

/** Orders two message ids by time; negative when a is older. */
export function compareIds(a: string, b: string): number;
