// @ts-check
/**
 * The two ways in which the tabs of a browser get their events: over one stream that they share, or each over its own.
 *
 * @module events-tabs
 */

import { Stream } from './events-stream.js';

/** @import { Listener } from './events-stream.js' */
/** @import { Hint } from './events.js' */

/** @typedef {Listener & {topics: () => string[]}} Page what is told of hints in this tab, and the topics it wants */

/**
 * @typedef {{type: 'topics', tab: string, topics: string[]} | {type: 'bye', tab: string} | {type: 'leader'}
 *   | {type: 'hint', hint: Hint} | {type: 'covered', topics: string[], gap: boolean} | {type: 'signed-out'}
 *   | {type: 'ping'} | {type: 'pong'}} Message
 */

const PING_MS = 10_000;
const PONG_MS = 5_000;

/** A tab without Web Locks: a stream while it is seen. */
export class LoneTab {
	/** @param {Page} page */
	constructor(page) {
		this.page = page;
		/** @type {Stream | null} */
		this.stream = null;
	}

	start() {
		this.update = () => this.#update();
		document.addEventListener('visibilitychange', this.update);
		this.#update();
	}

	stop() {
		if (this.update) document.removeEventListener('visibilitychange', this.update);
		this.stream?.close();
		this.stream = null;
	}

	topicsChanged() {
		this.stream?.want(this.page.topics());
		if (this.stream) coverAgain(this.stream);
	}

	holdsStream() {
		return this.stream !== null;
	}

	#update() {
		const visible = document.visibilityState === 'visible';
		if (visible && !this.stream) {
			this.stream = new Stream(this.page);
			this.stream.want(this.page.topics());
		} else if (!visible) {
			this.stream?.close();
			this.stream = null;
		}
	}
}

/**
 * Tells what the stream already carries to those who came since.
 *
 * @param {Stream} stream
 */
function coverAgain(stream) {
	queueMicrotask(() => {
		if (stream.source) stream.listener.covered(stream.carried, false);
	});
}

/** A tab among others of its browser, with the stream or without. */
export class SharingTab {
	/**
	 * @param {Page} page
	 * @param {string} name of lock and channel
	 * @param {string} tab this tab's name
	 */
	constructor(page, name, tab) {
		this.page = page;
		this.name = name;
		this.tab = tab;
		/** @type {Stream | null} */
		this.stream = null;
		/** @type {BroadcastChannel | null} */
		this.channel = null;
		/** Topics of the other tabs, kept by the one with the stream. @type {Map<string, string[]>} */
		this.others = new Map();
		this.stopping = new AbortController();
		this.standing = new AbortController();
		this.known = false;
		this.answered = true;
	}

	start() {
		this.stopping = new AbortController();
		this.known = false;
		this.channel = new BroadcastChannel(this.name);
		this.channel.addEventListener('message', (event) => this.#take(event.data));
		this.#hold(`${this.name}:tab:${this.tab}`, () => {
			this.known = true;
			this.#announce();
		});
		this.#stand(false);
		const ping = setInterval(() => this.#ping(), PING_MS);
		this.stopping.signal.addEventListener('abort', () => clearInterval(ping));
	}

	stop() {
		this.#say({ type: 'bye', tab: this.tab });
		this.#resign();
		this.stopping.abort();
		this.standing.abort();
		this.channel?.close();
		this.channel = null;
	}

	topicsChanged() {
		if (!this.stream) return this.#announce();
		this.#wantAll();
		coverAgain(this.stream);
	}

	holdsStream() {
		return this.stream !== null;
	}

	/**
	 * Holds a lock until the tab stops or dies.
	 *
	 * @param {string} lock
	 * @param {() => void} held
	 */
	#hold(lock, held) {
		const { signal } = this.stopping;
		navigator.locks.request(lock, { signal }, () => {
			held();
			return until(signal);
		}).catch(() => {});
	}

	/**
	 * Stands for the stream: waits for the lock, or takes it from a tab that no longer answers.
	 *
	 * @param {boolean} steal
	 */
	#stand(steal) {
		this.standing.abort();
		this.standing = new AbortController();
		const { signal } = this.standing;
		const options = steal ? { steal } : { signal };
		navigator.locks.request(this.name, options, () => {
			if (signal.aborted) return;
			this.#lead();
			return until(signal);
		}).catch(() => {
			if (signal.aborted) return;
			this.#resign(); // another tab took the lock while this one slept
			this.#stand(false);
		});
	}

	#lead() {
		this.#resign();
		this.stream = new Stream({
			hint: (hint) => {
				this.#say({ type: 'hint', hint });
				this.page.hint(hint);
			},
			covered: (topics, gap) => {
				this.#say({ type: 'covered', topics, gap });
				this.page.covered(topics, gap);
			},
			signedOut: () => {
				this.#say({ type: 'signed-out' });
				this.page.signedOut();
			},
		});
		this.#say({ type: 'leader' });
		this.#wantAll();
	}

	#resign() {
		this.stream?.close();
		this.stream = null;
		this.others.clear();
	}

	#wantAll() {
		const all = new Set([...this.page.topics(), ...[...this.others.values()].flat()]);
		this.stream?.want([...all].sort());
	}

	/** Not before this tab holds its own lock, by which the other knows how long it lives. */
	#announce() {
		if (!this.known) return;
		this.#say({ type: 'topics', tab: this.tab, topics: this.page.topics() });
	}

	/** @param {Message} message */
	#say(message) {
		this.channel?.postMessage(message);
	}

	/** @param {Message} message */
	#take(message) {
		if (this.stream) return this.#takeAsLeader(message, this.stream);
		if (message.type === 'topics' || message.type === 'bye' || message.type === 'ping') return;
		this.answered = true; // only the holder of the stream says the rest
		switch (message.type) {
			case 'leader': return this.#announce();
			case 'hint': return this.page.hint(message.hint);
			case 'covered': return this.page.covered(message.topics, message.gap);
			case 'signed-out': return this.page.signedOut();
		}
	}

	/**
	 * @param {Message} message
	 * @param {Stream} stream
	 */
	#takeAsLeader(message, stream) {
		switch (message.type) {
			case 'ping':
				if (stream.sound) this.#say({ type: 'pong' });
				return;
			case 'bye':
				return this.#forget(message.tab);
			case 'topics':
				if (!this.others.has(message.tab)) this.#awaitEnd(message.tab);
				this.others.set(message.tab, message.topics);
				this.#wantAll();
				coverAgain(stream);
		}
	}

	/**
	 * Every tab holds a lock of its own; getting it means that the tab is gone, however it went.
	 *
	 * @param {string} tab
	 */
	#awaitEnd(tab) {
		const { signal } = this.stopping;
		navigator.locks.request(`${this.name}:tab:${tab}`, { signal }, () => this.#forget(tab)).catch(() => {});
	}

	/** @param {string} tab */
	#forget(tab) {
		if (this.others.delete(tab)) this.#wantAll();
	}

	/** A tab that is seen makes sure that the stream's holder is well; it may hang, or sleep unasked. */
	#ping() {
		if (this.stream || document.visibilityState !== 'visible') return;
		this.answered = false;
		this.#say({ type: 'ping' });
		setTimeout(() => {
			if (!this.answered && !this.stream && !this.stopping.signal.aborted) this.#stand(true);
		}, PONG_MS);
	}
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function until(signal) {
	return new Promise((resolve) => {
		if (signal.aborted) resolve();
		signal.addEventListener('abort', () => resolve());
	});
}
