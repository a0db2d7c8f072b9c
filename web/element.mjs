/* element.mjs: what the pages share: making elements, and the colour of a person. Text enters as text, never as markup. */

const HUES = 12;

export function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A colour of one's own, the same on every screen (FNV-1a over the name, then a final mix). */
export function hueOf(user = '') {
  let hash = 0x811c9dc5;
  for (const char of user) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return `hue-${((hash ^ (hash >>> 16)) >>> 0) % HUES}`;
}
