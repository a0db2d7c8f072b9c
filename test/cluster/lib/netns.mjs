/*
 * netns.mjs: a network namespace for a node, behind a pair of virtual Ethernet devices, and routes that swallow what is
 * sent to it or by it. Wants root and a kernel that has both; whyNot() tells.
 */

import { after } from 'node:test';
import { execFileSync } from 'node:child_process';

const made = new Set();
const ip = (...args) => execFileSync('ip', args.map(String), { stdio: ['ignore', 'ignore', 'pipe'] });

after(() => { for (const space of made) space.remove(); });
process.on('exit', () => { for (const space of made) space.remove(); });

export class Namespace {
  static #count = 0;

  constructor() {
    const n = Namespace.#count++;
    const id = (process.pid * 7 + n) % 60_000;
    this.name = `stoa-${process.pid}-${n}`;
    this.device = `st${id}`;
    // A subnet of its own of 10.201.0.0/16, four addresses wide.
    const base = (id % 16_000) * 4;
    const address = (host) => `10.201.${Math.floor((base + host) / 256)}.${(base + host) % 256}`;
    this.outside = address(1);
    this.host = address(2);
    made.add(this);
    ip('netns', 'add', this.name);
    ip('link', 'add', this.device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name);
    ip('addr', 'add', `${this.outside}/30`, 'dev', this.device);
    ip('link', 'set', this.device, 'up');
    this.#inside('addr', 'add', `${this.host}/30`, 'dev', 'eth0');
    this.#inside('link', 'set', 'lo', 'up');
    this.#inside('link', 'set', 'eth0', 'up');
    this.#inside('route', 'add', 'default', 'via', this.outside);
  }

  #inside(...args) { ip('-n', this.name, ...args); }

  get within() { return ['ip', 'netns', 'exec', this.name]; }

  /** Nothing that is sent to it arrives, while what it sends does. */
  cutIn() { ip('route', 'add', 'blackhole', `${this.host}/32`); }
  /** Nothing that it sends arrives. */
  cutOut() { this.#inside('route', 'add', 'blackhole', `${this.outside}/32`); }
  healIn() { ip('route', 'del', 'blackhole', `${this.host}/32`); }
  healOut() { this.#inside('route', 'del', 'blackhole', `${this.outside}/32`); }

  remove() {
    made.delete(this);
    for (const args of [['route', 'del', 'blackhole', `${this.host}/32`], ['link', 'del', this.device], ['netns', 'del', this.name]]) {
      try {
        ip(...args);
      } catch { /* it was not there */ }
    }
  }
}

/** Why this cannot be done here, or null. */
export function whyNot() {
  if (process.getuid() !== 0) return 'network namespaces want root';
  try {
    new Namespace().remove();
    return null;
  } catch (error) {
    return `no network namespaces here: ${String(error.stderr ?? error.message).trim()}`;
  }
}
