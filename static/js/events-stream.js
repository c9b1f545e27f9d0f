// @ts-check
/**
 * One stream of server-sent events, reopened when topics come and go and after every failure.
 *
 * @module events-stream
 */

/** @import { Hint } from './events.js' */

/**
 * @typedef {object} Listener what a Stream tells whoever opened it
 * @property {(hint: Hint) => void} hint
 * @property {(topics: string[], gap: boolean) => void} covered the stream carries these topics from now on
 * @property {() => void} signedOut
 */

const ADDRESS = '/events';
const JOIN_MS = 50; // topics announced this close together cost one reopening
const LEAVE_MS = 5_000; // a tab that moves to another page brings the same topics back
const OVERLAP_MS = 250; // the old stream stays this long beside the new, for what is under way on it
const SILENCE_MS = 50_000; // the server is heard every 15 s
const WATCH_MS = 10_000;
const RETRY_MS = 500;
const RETRY_MOST_MS = 30_000;

/** An EventSource that is reopened when topics come and go, and after every failure. */
export class Stream {
	/** @param {Listener} listener */
	constructor(listener) {
		this.listener = listener;
		/** @type {string[]} */
		this.topics = [];
		/** Of the stream there is. @type {string[]} */
		this.carried = [];
		/** Of the stream that is being opened. @type {string[]} */
		this.asked = [];
		/** @type {EventSource | null} */
		this.source = null;
		/** @type {EventSource | null} */
		this.next = null;
		/** The one before, while what is under way on it arrives. @type {EventSource | null} */
		this.old = null;
		this.gap = true;
		this.failures = 0;
		this.heard = 0;
		this.openedAt = 0;
		this.version = '';
		/** @type {number | undefined} */
		this.timer = undefined;
		this.dueAt = 0;
		this.closed = false;
		this.watch = setInterval(() => this.#checkSilence(), WATCH_MS);
		this.wake = () => this.#wake();
		window.addEventListener('online', this.wake);
		document.addEventListener('visibilitychange', this.wake);
	}

	/**
	 * The topics to carry. New ones are joined at once, old ones dropped when it suits.
	 *
	 * @param {string[]} topics
	 */
	want(topics) {
		this.topics = topics;
		if (this.failures > 0 && this.timer !== undefined) return; // the next attempt takes them along
		const coming = this.next ? this.asked : this.carried;
		if (topics.some((topic) => !coming.includes(topic))) this.#openIn(JOIN_MS);
		else if (coming.length > topics.length) this.#openIn(LEAVE_MS);
	}

	/** Ends it for good. */
	close() {
		this.closed = true;
		clearTimeout(this.timer);
		clearInterval(this.watch);
		window.removeEventListener('online', this.wake);
		document.removeEventListener('visibilitychange', this.wake);
		for (const source of [this.source, this.next, this.old]) source?.close();
		this.source = this.next = this.old = null;
	}

	/** Whether it may be counted on: it is trying, or was heard not long ago. */
	get sound() {
		return this.source === null || Date.now() - this.heard <= SILENCE_MS;
	}

	/**
	 * An earlier appointment stays; a later one gives way.
	 *
	 * @param {number} ms
	 */
	#openIn(ms) {
		if (this.closed) return;
		const at = Date.now() + ms;
		if (this.timer !== undefined && this.dueAt <= at) return;
		clearTimeout(this.timer);
		this.dueAt = at;
		this.timer = setTimeout(() => {
			this.timer = undefined;
			this.#open();
		}, ms);
	}

	#pause() {
		const most = Math.min(RETRY_MOST_MS, RETRY_MS * 2 ** this.failures);
		return most / 2 + Math.random() * most / 2;
	}

	/** Opens a stream beside the one there is, which goes when the new one has said hello. */
	#open() {
		if (this.source && same(this.topics, this.next ? this.asked : this.carried)) return;
		this.next?.close();
		this.next = null;
		if (this.topics.length === 0) {
			this.source?.close();
			this.source = null;
			this.carried = [];
			this.gap = true;
			return;
		}
		const topics = this.topics;
		const query = new URLSearchParams(topics.map((topic) => ['topic', topic]));
		const source = new EventSource(`${ADDRESS}?${query}`);
		this.next = source;
		this.asked = topics;
		this.openedAt = Date.now();
		source.addEventListener('hello', (event) => this.#hello(source, topics, event));
		source.addEventListener('beat', () => this.#hear());
		source.addEventListener('resync', () => {
			this.#hear();
			this.listener.covered(this.carried, true);
		});
		source.addEventListener('message', (event) => {
			this.#hear();
			this.listener.hint(JSON.parse(event.data));
		});
		source.addEventListener('error', () => this.#failed(source));
	}

	#hear() {
		this.heard = Date.now();
	}

	/**
	 * @param {EventSource} source
	 * @param {string[]} topics
	 * @param {MessageEvent} event
	 */
	#hello(source, topics, event) {
		if (source !== this.next) return;
		this.#hear();
		const old = this.source;
		this.old?.close();
		this.old = old;
		setTimeout(() => old?.close(), OVERLAP_MS);
		const gap = this.gap;
		this.source = source;
		this.next = null;
		this.carried = topics;
		this.gap = false;
		this.failures = 0;
		this.#compareVersion(JSON.parse(event.data).version);
		this.listener.covered(topics, gap);
		this.want(this.topics);
	}

	/** @param {string} version */
	#compareVersion(version) {
		if (this.version !== '' && this.version !== version) {
			document.dispatchEvent(new CustomEvent('scratchpaper:version', { detail: version }));
		}
		this.version = version;
	}

	/**
	 * EventSource would come back by itself after most failures, every browser after the same few seconds;
	 * we do it, each at its own time. An EventSource does not tell the status, so a refusal is asked about.
	 *
	 * @param {EventSource} source
	 */
	async #failed(source) {
		if (source !== this.source && source !== this.next) return source.close();
		const refused = source.readyState === EventSource.CLOSED;
		source.close();
		if (source === this.source) {
			this.source = null;
			this.carried = [];
			this.gap = true;
		} else {
			this.next = null;
		}
		if (this.next) return; // one is on its way
		this.failures++;
		if (refused && (await signedOut(this.topics))) {
			if (!this.closed) this.listener.signedOut();
		}
		this.#openIn(this.#pause());
	}

	#checkSilence() {
		if (this.next && Date.now() - this.openedAt > SILENCE_MS) this.#failed(this.next);
		if (this.source && !this.sound) this.#failed(this.source);
	}

	/** The network or the person is back: no reason to wait any longer. */
	#wake() {
		if (document.visibilityState !== 'visible') return;
		this.#checkSilence();
		if (this.source === null && this.next === null && this.topics.length > 0) this.#openIn(JOIN_MS);
	}
}

/**
 * @param {string[]} a sorted
 * @param {string[]} b sorted
 */
function same(a, b) {
	return a.length === b.length && a.every((topic, i) => topic === b[i]);
}

/**
 * Whether the server refuses the stream because nobody is signed in.
 *
 * @param {string[]} topics
 */
async function signedOut(topics) {
	const abort = new AbortController();
	try {
		const query = new URLSearchParams(topics.map((topic) => ['topic', topic]));
		const answer = await fetch(`${ADDRESS}?${query}`, {
			headers: { Accept: 'text/event-stream' }, cache: 'no-store', redirect: 'manual', signal: abort.signal,
		});
		return answer.status === 401 || answer.type === 'opaqueredirect';
	} catch {
		return false;
	} finally {
		abort.abort();
	}
}
