/*
 * build.mjs FOLDER: bundles the console into FOLDER/console.js and console.css. uPlot comes from npm with its licence,
 * which asks to stand in every copy.
 */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const licence = readFileSync(`${here}node_modules/uplot/LICENSE`, 'utf8').trim();
const banner = `/*! The console of Stoa. It holds uPlot:\n\n${licence}\n*/`;

await build({
  absWorkingDir: here,
  entryPoints: [{ in: 'console/console.mjs', out: 'console' }, { in: 'console/console.css', out: 'console' }],
  outdir: resolve(process.argv[2]),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  banner: { js: banner, css: banner },
  logLevel: 'warning',
});
