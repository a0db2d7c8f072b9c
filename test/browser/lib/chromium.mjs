/* chromium.mjs: Debian's Chromium, and what a page must not say on its console. */

import { chromium } from 'playwright-core';
import { within } from '../../e2e/lib/server.mjs';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];
export const SHOW_MS = within(15_000);

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: FLAGS });

/** Collects what the page says on its console, or throws. mayFail: requests whose failure belongs to the test. */
export class Complaints {
  all = [];
  mayFail = null;

  constructor(page) {
    page.on('console', (message) => this.#onConsole(message));
    page.on('pageerror', (error) => this.all.push(error.stack));
  }

  #onConsole(message) {
    if (!['error', 'warning'].includes(message.type())) return;
    if (this.mayFail?.test(message.text())) return;
    this.all.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  }
}
