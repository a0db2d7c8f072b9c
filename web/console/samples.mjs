/* samples.mjs: the live counts that this page has seen, for at most as long as the shortest range shows. */

const SPAN_MS = 3_600_000;

export class Samples {
  all = []; // { at, online }, oldest first

  /** A count as of a moment; one that is not newer than the last says nothing new. */
  add(at, online) {
    if (this.all.length && at <= this.all.at(-1).at) return;
    this.all.push({ at, online });
    const gone = this.all.findIndex((sample) => sample.at > at - SPAN_MS);
    if (gone > 0) this.all.splice(0, gone);
  }
}
