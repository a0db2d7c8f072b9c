/*
 * view.mjs: the transcript, which is the list of lines and everything about their scrolling. It knows how a message
 * looks and nothing of where it came from. People's words enter the page as text nodes only.
 *
 * Invariants:
 *   - one <li data-id> per message id, and at most LINES_MAX of them while the reader follows the end;
 *   - lines of one answer stand in the order of their ids, whichever list they came in (a gift does not
 *     overtake the words before it on the page, only on the wire);
 *   - the list moves under the reader only when the reader is at its end.
 *
 * A new kind of message: add a function to LOOKS.
 */

import { element, hueOf } from '/element.mjs';
import { compareIds } from '/sdk/stoa.mjs';

const LINES_MAX = 500;
/** While somebody reads above the end, more is kept, so that nothing is pulled away from under the eye. */
const LINES_MAX_READING = 1500;
const AT_END_PX = 48;
/** An answer with more lines than this is not read aloud: no screen reader keeps up with a crowd. */
const SPOKEN_MAX = 5;

const GIFTS = { olive: 'an olive branch', laurel: 'a laurel', amphora: 'an amphora', lyre: 'a lyre' };

/** What the server's own messages say; `who` is the user in the body. */
const NOTICES = {
  'room.closed': () => 'The room is closed.',
  'room.muted': (who) => `${who} has been muted.`,
  'room.unmuted': (who) => `${who} may speak again.`,
  'room.banned': (who) => `${who} has been shown out.`,
  'room.unbanned': (who) => `${who} may come back.`,
  'room.mute_all': () => 'Only the hosts may speak now.',
  'room.unmute_all': () => 'Everybody may speak again.',
};

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

const LOOKS = {
  gift(message) {
    const gift = giftOf(message.body);
    const line = element('li', 'line gift-line');
    const medal = element('span', 'medal');
    medal.append(drawing(gift ?? 'laurel'));
    const words = element('p', 'words');
    words.append(speaker(message), ' gives ', element('b', 'what', gift ? GIFTS[gift] : textOf(message.body)));
    line.append(medal, words, timeOf(message));
    return line;
  },
  notice(message) {
    const who = message.body?.user ?? 'Somebody';
    return element('li', 'line note', NOTICES[message.type]?.(who) ?? 'The host changed the room.');
  },
  text(message) {
    const line = element('li', 'line');
    const words = element('p', 'words');
    const name = speaker(message);
    const monogram = element('span', `monogram ${hueOf(message.from)}`, Array.from(name.textContent)[0]);
    monogram.setAttribute('aria-hidden', 'true');
    words.append(name, ' ', element('span', 'text', textOf(message.body)));
    line.append(monogram, words, timeOf(message));
    return line;
  },
};

export class Transcript {
  #list;
  #outbox;
  #scroller;
  #newest;
  #me = null;
  #lines = new Map(); // id -> <li>
  #unseen = 0;
  #following = true;

  constructor({ list, outbox, scroller, newest }) {
    this.#list = list;
    this.#outbox = outbox;
    this.#scroller = scroller;
    this.#newest = newest;
    scroller.addEventListener('scroll', () => this.#onScroll(), { passive: true });
    newest.addEventListener('click', () => this.toEnd());
    new ResizeObserver(() => this.#keep()).observe(scroller);
  }

  /** Empties the list; `me` is whose lines are marked as one's own. */
  reset(me) {
    this.#me = me;
    this.#lines.clear();
    this.#list.replaceChildren();
    this.#outbox.replaceChildren();
    this.toEnd();
  }

  /** The messages of one answer. */
  add(messages) {
    const fresh = messages.filter((m) => !this.#lines.has(m.id)).sort((a, b) => compareIds(a.id, b.id));
    this.#list.setAttribute('aria-live', fresh.length > SPOKEN_MAX ? 'off' : 'polite');
    this.#list.append(...fresh.map((m) => this.#render(m)));
    this.#forgetPending(fresh);
    if (!this.#following) this.#unseen += fresh.length;
    this.#trim();
    this.#keep();
  }

  /** Older messages; returns how many were new to the list. */
  addEarlier(messages) {
    const { scrollHeight, scrollTop } = this.#scroller;
    const fresh = messages.filter((m) => !this.#lines.has(m.id)).sort((a, b) => compareIds(a.id, b.id));
    this.#following = false;
    this.#list.setAttribute('aria-live', 'off');
    for (const message of fresh) {
      const line = this.#render(message);
      line.classList.add('still');
      this.#list.insertBefore(line, this.#firstAfter(message.id));
    }
    this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
    this.#onScroll();
    return fresh.length;
  }

  /** From where to ask for older ones: below the oldest ordinary line, since gifts may reach back much further. */
  get oldestId() {
    const ids = Array.from(this.#lines.keys());
    const ordinary = ids.filter((id) => this.#lines.get(id).dataset.priority === 'normal');
    return (ordinary.length ? ordinary : ids).reduce((a, b) => (a && compareIds(a, b) < 0 ? a : b), undefined);
  }

  /** So many lines are missing here. Neighbouring notes are added up. */
  addSkipped(count) {
    const last = this.#list.lastElementChild;
    if (last?.dataset.skipped) {
      count += Number(last.dataset.skipped);
      last.remove();
    }
    const note = element('li', 'line note', count === 1 ? '1 message skipped' : `${count.toLocaleString('en')} messages skipped`);
    note.dataset.skipped = count;
    note.dataset.testid = 'skip-note';
    this.#addNote(note);
  }

  addGap(text) {
    const note = element('li', 'line note gap', text);
    note.dataset.testid = 'gap-note';
    this.#addNote(note);
  }

  /** A message taken back stays as a trace. */
  recall(id) {
    const line = this.#lines.get(id);
    if (!line) return;
    line.className = 'line note recalled';
    line.textContent = 'A message was taken back.';
  }

  /**
   * A line of one's own that is still on its way. settle(id) when the server has it: the line then goes as soon as
   * the message, or one after it, comes back through the room. drop() when it will not be sent.
   */
  pending(text) {
    const line = LOOKS.text({ from: this.#me, body: text, at: Date.now() });
    line.classList.add('mine', 'pending');
    this.#outbox.append(line);
    this.toEnd();
    return {
      settle: (id) => {
        line.dataset.awaits = id;
        if (this.#lines.has(id)) line.remove();
      },
      drop: () => line.remove(),
    };
  }

  toEnd() {
    this.#following = true;
    this.#keep();
  }

  #render(message) {
    const look = message.type === 'gift' ? 'gift' : message.type.startsWith('room.') ? 'notice' : 'text';
    const line = LOOKS[look](message);
    line.dataset.id = message.id;
    line.dataset.priority = message.priority;
    line.classList.toggle('high', message.priority === 'high' && look === 'text');
    line.classList.toggle('mine', look !== 'notice' && message.from === this.#me);
    this.#lines.set(message.id, line);
    return line;
  }

  #addNote(note) {
    this.#list.append(note);
    this.#keep();
  }

  #firstAfter(id) {
    for (const line of this.#list.children) {
      if (line.dataset.id && compareIds(line.dataset.id, id) > 0) return line;
    }
    return null;
  }

  #forgetPending(messages) {
    const newest = messages.filter((m) => m.priority === 'normal').at(-1);
    if (!newest) return;
    for (const line of [...this.#outbox.children]) {
      if (line.dataset.awaits && compareIds(line.dataset.awaits, newest.id) <= 0) line.remove();
    }
  }

  #trim() {
    let surplus = this.#list.childElementCount - (this.#following ? LINES_MAX : LINES_MAX_READING);
    for (; surplus > 0; surplus--) {
      const line = this.#list.firstElementChild;
      this.#lines.delete(line.dataset.id);
      line.remove();
    }
  }

  #onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    this.#showNewest();
  }

  /** Stays at the end if that is where the reader is. */
  #keep() {
    if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#showNewest();
  }

  #showNewest() {
    if (this.#following) this.#unseen = 0;
    this.#newest.hidden = this.#following;
    const count = this.#unseen;
    this.#newest.textContent = count === 0 ? 'To the newest' : count === 1 ? '1 new message' : `${count.toLocaleString('en')} new messages`;
  }
}

/* ---- small parts ---- */

/** Which of this page's gifts it is; null for one that it does not know. */
export function giftOf(body) {
  return Object.hasOwn(GIFTS, body?.gift ?? '') ? body.gift : null;
}

/** One of the page's gift drawings. */
export function drawing(gift) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#gift-${gift}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

function speaker({ name, from }) {
  return element('b', `name ${hueOf(from)}`, name || from || 'Someone');
}

function timeOf({ at }) {
  const time = element('time', '', clock.format(at));
  time.dateTime = new Date(at).toISOString();
  return time;
}

/** Bodies are any JSON; this page itself sends {"text": …}. */
function textOf(body) {
  const text = body?.text ?? body;
  return typeof text === 'string' ? text : JSON.stringify(text);
}
