/*
 * server.mjs: the real binary, started for a test and surely ended after it.
 *
 * STOA_BIN    the binary; without it, build/release/stoa
 * STOA_SLOW   factor for limits of time; a binary with sanitizers gets 5 by itself
 *
 * A server has a directory of its own for its store and configuration, and a loopback address of its own: while it is
 * down, no outgoing connection on this machine can be given its port. It keeps address, port and files over restart().
 * Ending by itself, and every report of a sanitizer, fail the test file it happened in.
 */

import { after } from 'node:test';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../../..');
export const BIN = process.env.STOA_BIN ?? join(ROOT, 'build/release/stoa');
const SLOW = Number(process.env.STOA_SLOW ?? (/\b(asan|tsan)\b/.test(BIN) ? 5 : 1));
const STDERR_KEPT = 20_000;
const REPORTS = /(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|ASSERT|assertion)/i;

const PATIENCE_MS = 60_000; // less than what the server itself has for idle connections
export const isSlow = SLOW > 1; // to do less of what is much

/**
 * A limit for what ought to come, where `ms` are what it takes at most: so long that it is not the machine's fault, since
 * only a test that fails waits to its end. Nothing is shown by what comes within it; a test that is about how long
 * something takes compares that with the longer time that it would take otherwise.
 */
export const within = (ms) => Math.max(ms * SLOW, PATIENCE_MS);

const directories = new Set();
const servers = new Set();
let addresses = 0;

/** A directory that goes away with the test file. */
export function newDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'stoa-test-'));
  directories.add(directory);
  return directory;
}

/** A loopback address that no other test uses. */
export function newAddress() {
  const n = (process.pid * 31 + addresses++) % (250 * 250 * 250);
  return `127.${1 + (Math.floor(n / 62_500) % 250)}.${1 + (Math.floor(n / 250) % 250)}.${1 + (n % 250)}`;
}

process.on('exit', () => {
  for (const server of servers) server.killNow();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, () => process.exit(1));

after(async () => {
  const problems = [];
  for (const server of servers) {
    await server.stop().catch((error) => problems.push(error.message));
    if (server.trouble) problems.push(server.trouble);
  }
  // What a failed test has left running must not keep the file from ending.
  setTimeout(() => process.exit(1), within(5_000)).unref();
  if (problems.length) throw new Error(problems.join('\n'));
});

export class Server {
  #child = null;
  #gone = null; // promise of the child's end
  #expected = false;
  #stderr = '';
  trouble = null; // what must not happen in any test

  /**
   * flags: further arguments. config: text of a configuration file; without one, --dev. env: further environment.
   * store: URL; `sqlite:` is a file of this server's. within: a command that runs it, as `ip netns exec NAME` does.
   */
  static async start(options = {}) {
    const server = new Server(options);
    servers.add(server);
    await server.start();
    return server;
  }

  constructor({ flags = [], config, env = {}, store = 'memory:', drain_s = 0, host = newAddress(), within: prefix = [] } = {}) {
    this.prefix = prefix;
    this.directory = newDirectory();
    this.host = host;
    this.port = 0;
    this.flags = flags;
    this.env = env;
    this.store = store === 'sqlite:' ? `sqlite:${join(this.directory, 'stoa.db')}` : store;
    this.drain_s = drain_s;
    this.config_path = config === undefined ? null : join(this.directory, 'stoa.ini');
    if (config !== undefined) this.writeConfig(config);
  }

  get url() { return `http://${this.host}:${this.port}`; }
  get pid() { return this.#child.pid; }
  get stderr() { return this.#stderr; }
  get isRunning() { return this.#child !== null; }

  writeConfig(text) {
    writeFileSync(this.config_path, text);
  }

  get #args() {
    const access = this.config_path ? ['--config', this.config_path] : ['--dev'];
    return ['serve', ...access, '--listen', `${this.host}:${this.port}`, '--store', this.store,
      '--drain-s', this.drain_s, ...this.flags].map(String);
  }

  /** Resolves when it serves; rejects with what it said, when it ends before that. */
  async start() {
    const [program, ...args] = [...this.prefix, BIN, ...this.#args];
    const child = spawn(program, args, {
      cwd: this.directory,
      env: environment(this.env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#expected = false;
    child.stderr.on('data', (bytes) => this.#onStderr(bytes));
    this.#gone = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#onGone(code, signal);
        resolve({ code, signal });
      });
      child.once('error', (error) => {
        this.#stderr += `${BIN}: ${error.message}\n`;
        this.#onGone(null, error.code);
        resolve({ code: null, signal: error.code });
      });
    });
    await this.#listening(child);
  }

  #listening(child) {
    return new Promise((resolve, reject) => {
      let said = '';
      const timer = setTimeout(() => reject(new Error(`does not listen:\n${this.#stderr}`)), within(10_000));
      child.stdout.on('data', (bytes) => {
        said += bytes;
        const match = /^listening on \S+:(\d+)\n/m.exec(said);
        if (!match) return;
        clearTimeout(timer);
        this.port = Number(match[1]);
        resolve();
      });
      this.#gone.then(({ code, signal }) => {
        clearTimeout(timer);
        this.trouble = null; // told to the caller instead
        reject(Object.assign(new Error(`ended (${signal ?? code}):\n${this.#stderr}`), { code }));
      });
    });
  }

  #onStderr(bytes) {
    this.#stderr = (this.#stderr + bytes).slice(-STDERR_KEPT);
    if (REPORTS.test(this.#stderr)) this.trouble = `a report on stderr:\n${this.#stderr}`;
  }

  #onGone(code, signal) {
    this.#child = null;
    if (!this.#expected) this.trouble ??= `the server ended by itself (${signal ?? code}):\n${this.#stderr}`;
  }

  signal(name) {
    if (name === 'SIGTERM') this.#expected = true;
    this.#child.kill(name);
  }

  /** Waits for the end that was asked for: { code, signal }. Anything but a clean one is a failure. */
  async ended() {
    const late = setTimeout(() => this.#child?.kill('SIGKILL'), within(this.drain_s * 1000 + 10_000));
    const end = await this.#gone;
    clearTimeout(late);
    if (end.code !== 0) throw new Error(`SIGTERM led to ${end.signal ?? end.code}:\n${this.#stderr}`);
    return end;
  }

  async stop() {
    if (!this.#child) return;
    this.signal('SIGTERM');
    await this.ended();
  }

  /** As a crash does it. Resolves when the process is gone. */
  async kill() {
    this.killNow();
    await this.#gone;
  }

  killNow() {
    this.#expected = true;
    this.#child?.kill('SIGKILL');
  }

  /** The same address, port, store and configuration again. */
  async restart() {
    await this.stop();
    await this.start();
  }
}

/** Ours without what would configure a server behind a test's back. */
function environment(more) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('STOA_'));
  return { ...Object.fromEntries(kept), ...more };
}

/** Runs the binary to its end: { code, signal, stdout, stderr }. */
export function run(args, { env = {}, limit_ms = within(30_000), cwd } = {}) {
  return new Promise((resolve) => {
    const child = spawn(BIN, args.map(String), { cwd, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    const timer = setTimeout(() => child.kill('SIGKILL'), limit_ms);
    child.stdout.on('data', (bytes) => { said.stdout += bytes; });
    child.stderr.on('data', (bytes) => { said.stderr += bytes; });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...said });
    });
  });
}

/** Waits until the condition gives something true, which it returns; looks every few milliseconds. */
export async function waitFor(condition, limit_ms, what = 'the condition') {
  const until = performance.now() + limit_ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > until) throw new Error(`${what}: not within ${limit_ms} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

/** Lets time pass in which nobody asks the server anything: for what only time itself brings about. */
export const quiet = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
