/* door.mjs: asks for the key until the server takes one. */

import { advice } from './api.mjs';

/** Resolves to a key that opens the console. refusal: why one that was there before does not, or ''. opens: async (key) => …, throws. */
export function askForKey(parts, { refusal, opens }) {
  const { door, entry, key, enter } = parts;
  parts.refusal.textContent = refusal;
  door.showModal();
  return new Promise((resolve) => {
    let isOpen = false;
    door.addEventListener('close', () => { if (!isOpen) door.showModal(); }); // Escape leads nowhere
    entry.addEventListener('submit', async (event) => {
      event.preventDefault();
      const given = key.value.trim();
      enter.disabled = true;
      parts.refusal.textContent = '';
      try {
        await opens(given);
        isOpen = true;
        key.value = '';
        door.close();
        resolve(given);
      } catch (error) {
        parts.refusal.textContent = advice(error);
        key.select();
      } finally {
        enter.disabled = false;
      }
    });
  });
}
