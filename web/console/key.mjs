/* key.mjs: the app's key. It lives in this tab's session alone: never in a cookie, an address or a store that outlasts the tab. */

const NAME = 'stoa.key';

export function keptKey() {
  return sessionStorage.getItem(NAME);
}

export function keepKey(key) {
  sessionStorage.setItem(NAME, key);
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
}
