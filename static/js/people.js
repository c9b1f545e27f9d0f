// @ts-check
/**
 * Who else is in this snapshot, and where. This tab says where it is whenever that changes, and now and then; the others
 * are told by hints, and asked for once at the start and after a gap. Without scripts nobody is shown.
 *
 * @module people
 */
import { clientId, subscribe } from './events.js';

const BEAT_MS = 10_000; // the server forgets a tab after 30 s (internal/events/presence.go)
const GONE_MS = 30_000;
const PACE_MS = 300;
const MOST = 5; // faces in the bar; the rest is a number

/**
 * @typedef {object} Place
 * @property {string} person
 * @property {string} name
 * @property {number} colour 0 to 7
 * @property {string} client
 * @property {string} [table]
 * @property {number} [row] record id
 * @property {string} [column] slug
 * @property {boolean} [left]
 * @property {number} seen when it was last heard of, on this page's clock
 */

class People extends EventTarget {
	/** @type {Map<string, Place>} by tab */
	#places = new Map();
	#here = {};
	#said = '';
	#timer = 0;

	/** @param {HTMLElement} bar */
	constructor(bar) {
		super();
		this.bar = bar;
		this.snapshot = bar.dataset.snapshot ?? '';
		const meta = document.querySelector('meta[name="scratchpaper-session"]');
		this.me = (meta instanceof HTMLMetaElement ? meta.content : '').split(':')[0];
		if (!this.snapshot) return;
		subscribe([`snapshot:${this.snapshot}`], (hint) => {
			if (hint.kind === 'resync') this.#ask();
			else if (hint.kind === 'presence' && hint.data) this.#take([hint.data]);
		});
		setInterval(() => this.#beat(), BEAT_MS);
		document.addEventListener('visibilitychange', () => this.#beat());
		addEventListener('pagehide', () => this.#say({ left: true }));
		this.#soon();
	}

	/** The other people's places, the newest of each person first in the list. */
	get others() {
		return [...this.#places.values()].sort((a, b) => b.seen - a.seen);
	}

	/** Says where this tab is. @param {{table?: string, record?: number, column?: string}} here */
	at(here) {
		this.#here = here;
		this.#soon();
	}

	#soon() {
		clearTimeout(this.#timer);
		this.#timer = window.setTimeout(() => {
			if (!document.hidden && JSON.stringify(this.#here) !== this.#said) this.#say(this.#here);
		}, PACE_MS);
	}

	#beat() {
		if (!document.hidden) this.#say(this.#here);
		const before = this.#places.size;
		for (const [client, place] of this.#places) if (performance.now() - place.seen > GONE_MS) this.#places.delete(client);
		if (this.#places.size !== before) this.#changed();
	}

	/** @param {object} what a place that cannot be told now is told with the next */
	#say(what) {
		if (!this.snapshot) return;
		this.#said = JSON.stringify(what);
		fetch(`/snapshots/${this.snapshot}/here`, {
			method: 'POST', body: this.#said, keepalive: true, headers: { 'Content-Type': 'application/json', 'X-Client': clientId },
		}).catch(() => {});
	}

	async #ask() {
		const answer = await fetch(`/snapshots/${this.snapshot}/people`, { headers: { Accept: 'application/json' } }).catch(() => undefined);
		if (answer?.ok) this.#take((await answer.json()).items);
	}

	/** @param {Place[]} list */
	#take(list) {
		for (const place of list) {
			if (place.person === this.me) continue;
			if (place.left) this.#places.delete(place.client);
			else this.#places.set(place.client, { ...place, seen: performance.now() });
		}
		this.#changed();
	}

	#changed() {
		/** @type {Map<string, Place>} */
		const people = new Map();
		for (const place of this.others) if (!people.has(place.person)) people.set(place.person, place);
		const shown = [...people.values()].sort((a, b) => a.name.localeCompare(b.name) || a.person.localeCompare(b.person));
		const faces = shown.slice(0, shown.length > MOST ? MOST - 1 : MOST).map((place) => this.#face(place));
		const rest = shown.slice(faces.length);
		if (rest.length) {
			const more = document.createElement('span');
			more.className = 'face';
			more.textContent = `+${rest.length}`;
			more.title = rest.map((place) => place.name).join(', ');
			faces.push(more);
		}
		const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.person : undefined;
		this.bar.replaceChildren(...faces);
		if (focused) for (const face of faces) if (face.dataset.person === focused) face.focus();
		this.dispatchEvent(new Event('change'));
	}

	/** @param {Place} place @returns {HTMLElement} */
	#face(place) {
		const face = document.createElement('a');
		const name = place.name || 'Somebody';
		face.className = `face who-${Number(place.colour) || 0}`;
		face.dataset.person = place.person;
		face.href = place.table ? `/snapshots/${this.snapshot}/tables/${place.table}${place.row ? `?cell=${place.row}:` : ''}` : `/snapshots/${this.snapshot}`;
		face.textContent = initials(name);
		face.title = `${name} is here: go there`;
		face.setAttribute('aria-label', face.title);
		return face;
	}
}

/** @param {string} name */
function initials(name) {
	const words = name.trim().split(/\s+/);
	return [words[0], words.length > 1 ? words[words.length - 1] : ''].map((word) => [...word][0] ?? '').join('').toLocaleUpperCase();
}

export const people = new People(document.getElementById('people') ?? document.createElement('div'));
