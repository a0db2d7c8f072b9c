/* TypeScript looks for this name beside stoa.mjs; the types are in stoa.d.ts. */
export * from './stoa.js';
