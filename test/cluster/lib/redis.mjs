/*
 * redis.mjs: real Redis servers for a test, alone or as a Cluster, ended with the test file whatever happens. Each has a
 * loopback address and a folder of its own, and keeps both over kill() and start().
 */

import { after } from 'node:test';
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { newAddress, newDirectory, waitFor, within } from '../../e2e/lib/server.mjs';

const PORT = 6379;
const started = new Set();

process.on('exit', () => { for (const redis of started) redis.signal('SIGKILL'); });
after(() => Promise.all([...started].map((redis) => redis.kill())));

const common = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction',
  '--repl-diskless-sync-delay', '0'];
const ofCluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-require-full-coverage', 'no',
  '--cluster-allow-replica-migration', 'no'];

/** One process. */
export class Redis {
  #child = null;
  #gone = Promise.resolve();

  static async start(options) {
    const redis = new Redis(options);
    await redis.start();
    return redis;
  }

  constructor({ flags = [], host = newAddress(), port = PORT } = {}) {
    Object.assign(this, { flags, host, port, directory: newDirectory() });
  }

  get address() { return `${this.host}:${this.port}`; }
  get url() { return `redis://${this.address}`; }

  async start() {
    const source = this.host === '0.0.0.0' ? [] : ['--bind-source-addr', this.host];
    const [program, ...args] = ['redis-server', '--bind', this.host, ...source, '--port', this.port, '--protected-mode', 'no',
      '--dir', this.directory, ...common, ...this.flags].map(String);
    this.#child = spawn(program, args, { stdio: 'ignore' });
    started.add(this);
    this.#gone = new Promise((resolve) => {
      this.#child.once('close', resolve);
      this.#child.once('error', resolve);
    });
    await waitFor(async () => await this.ask('PING') === 'PONG', within(10_000), `a Redis at ${this.address}`);
  }

  /** The answer of redis-cli, as it prints it. */
  ask(...command) {
    return cli(['-h', this.host, '-p', this.port, ...command]);
  }

  signal(name) { this.#child?.kill(name); }

  /** As a crash does it; also one that is stopped. */
  async kill() {
    this.signal('SIGKILL');
    await this.#gone;
    started.delete(this);
  }

  /** Forgets everything, as after the loss of its disk. Only between kill() and start(). */
  wipe() {
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(this.directory);
  }
}

function cli(args) {
  return new Promise((resolve) => {
    execFile('redis-cli', args.map(String), { timeout: within(20_000) }, (error, stdout) => resolve(stdout.trim()));
  });
}

/** Three masters with a replica each. */
export class RedisCluster {
  static async start() {
    const cluster = new RedisCluster();
    cluster.nodes = await Promise.all(Array.from({ length: 6 }, () => {
      const host = newAddress();
      return Redis.start({ host, flags: [...ofCluster, '--cluster-announce-ip', host] });
    }));
    await cli(['--cluster', 'create', ...cluster.nodes.map((n) => n.address), '--cluster-replicas', 1, '--cluster-yes']);
    await cluster.whole();
    return cluster;
  }

  get url() { return `redis://${this.nodes.map((n) => n.address).join(',')}`; }

  /** Until every node that lives knows three masters, each with a replica that is linked. */
  async whole() {
    await waitFor(async () => (await Promise.all(this.nodes.map(isWhole))).every(Boolean), within(30_000), 'a whole cluster');
  }

  /** The master that has the slot of a key: { master, replica }. */
  async owner(key) {
    const [any] = this.nodes;
    const slot = Number(await any.ask('CLUSTER', 'KEYSLOT', key));
    for (const range of ranges(await any.ask('CLUSTER', 'SLOTS'))) {
      if (slot < range.first || slot > range.last) continue;
      const [master, replica] = range.hosts.map((host) => this.nodes.find((n) => n.host === host));
      return { master, replica };
    }
    throw new Error(`nobody has slot ${slot}`);
  }

  /** Until that replica is a master. */
  promoted(replica) {
    return waitFor(async () => (await replica.ask('ROLE')).startsWith('master'), within(15_000), 'a promoted replica');
  }
}

async function isWhole(redis) {
  const slots = ranges(await redis.ask('CLUSTER', 'SLOTS'));
  const isLinked = !/master_link_status:down/.test(await redis.ask('INFO', 'replication'));
  return slots.length >= 3 && slots.every((range) => range.hosts.length === 2) && isLinked;
}

/* What redis-cli prints of CLUSTER SLOTS: first, last, and for each node address, port and id. */
function ranges(text) {
  const lines = text.split('\n').filter((line) => line !== '');
  const list = [];
  for (let i = 0; i < lines.length; i++) {
    const isRange = /^\d+$/.test(lines[i]) && /^\d+$/.test(lines[i + 1] ?? '') && /^\d+\./.test(lines[i + 2] ?? '');
    if (isRange) list.push({ first: Number(lines[i]), last: Number(lines[i + 1]), hosts: [] });
    else if (/^\d+(\.\d+){3}$/.test(lines[i])) list.at(-1).hosts.push(lines[i]);
  }
  return list;
}
