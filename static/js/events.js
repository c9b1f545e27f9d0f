// @ts-check
/**
 * Live events: hints from the server that something changed, for every tab of this browser over one stream.
 *
 * The tab that holds a Web Lock has the stream and passes hints on by BroadcastChannel; the others announce their
 * topics to it. Lock and channel carry the person, organization and version of the page, so that tabs of different
 * ones never mix. Without Web Locks (no secure context) each visible tab has a stream of its own, hidden ones none.
 *
 * Hints may be lost or come twice. After a gap every callback gets {kind: "resync"} and compares versions.
 *
 * @module events
 */

/**
 * @typedef {object} Hint
 * @property {string} kind change, counts, job, presence, resync
 * @property {string} [org]
 * @property {string} [snapshot]
 * @property {string} [table]
 * @property {string} [job]
 * @property {number} [version] of the table, after the change
 * @property {number[]} [rows] record ids
 * @property {boolean} [many] more rows than are worth naming
 * @property {string} [actor] the person who caused it
 * @property {string} [client] the tab that caused it; compare with clientId
 * @property {any} [data]
 * @property {boolean} [first] with resync: nothing was missed but what changed since the page was made
 */

/**
 * @typedef {object} Entry
 * @property {Set<string>} topics
 * @property {(hint: Hint) => void} callback
 * @property {boolean} live has been told that the stream carries its topics
 */

/**
 * @typedef {{type: 'topics', tab: string, topics: string[]} | {type: 'bye', tab: string} | {type: 'leader'}
 *   | {type: 'hint', hint: Hint} | {type: 'covered', topics: string[], gap: boolean} | {type: 'signed-out'}
 *   | {type: 'ping'} | {type: 'pong'}} Message
 */

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
const PONG_MS = 5_000;
const RETRY_MS = 500;
const RETRY_MOST_MS = 30_000;
const RELOAD_MS = 30_000; // a page that finds itself signed out again this soon does not reload again

/** This tab's name, sent with its writes so that it knows its own hints. */
export const clientId = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('');

const meta = document.querySelector('meta[name="scratchpaper-session"]');
const identity = meta instanceof HTMLMetaElement ? meta.content : '';
const name = `scratchpaper-events:${identity}`;
const sharing = identity !== '' && 'locks' in navigator && 'BroadcastChannel' in window;

/** @type {Set<Entry>} */
const entries = new Set();
/** @type {Set<() => void>} */
const resyncs = new Set();

/**
 * Calls back with every hint of the topics until the returned function is called. The first call is
 * {kind: "resync", first: true}, once the stream carries the topics; what changed before it may have been missed.
 *
 * @param {string[]} topics "snapshot:<id>", "job:<id>", "org-jobs"
 * @param {(hint: Hint) => void} callback
 * @returns {() => void} unsubscribe
 */
export function subscribe(topics, callback) {
	const entry = { topics: new Set(topics), callback, live: false };
	entries.add(entry);
	member.topicsChanged();
	return () => {
		if (entries.delete(entry)) member.topicsChanged();
	};
}

/**
 * Calls back after every gap of the stream, whatever the topics.
 *
 * @param {() => void} callback
 * @returns {() => void} the way to stop it
 */
export function onResync(callback) {
	resyncs.add(callback);
	return () => resyncs.delete(callback);
}

/** Whether this tab is the one that holds the browser's stream. */
export function holdsStream() {
	return member.holdsStream();
}

/** @returns {string[]} */
function wantedTopics() {
	return [...new Set([...entries].flatMap((entry) => [...entry.topics]))].sort();
}

/**
 * The topics that a hint belongs to; the server's rule (internal/events/topic.go).
 *
 * @param {Hint} hint
 * @returns {string[]}
 */
function topicsOf(hint) {
	const topics = [];
	if (hint.snapshot) topics.push(`snapshot:${hint.snapshot}`);
	if (hint.job) topics.push(`job:${hint.job}`, 'org-jobs');
	return topics;
}

/**
 * One callback's failure is not the others'.
 *
 * @param {() => void} call
 */
function apart(call) {
	try {
		call();
	} catch (error) {
		reportError(error);
	}
}

/** @param {Hint} hint */
function deliver(hint) {
	const topics = topicsOf(hint);
	for (const entry of [...entries]) {
		if (topics.some((topic) => entry.topics.has(topic))) apart(() => entry.callback(hint));
	}
}

/**
 * @param {string[]} topics
 * @param {boolean} gap
 */
function deliverCovered(topics, gap) {
	const covered = new Set(topics);
	const missed = gap && [...entries].some((entry) => entry.live);
	for (const entry of [...entries]) {
		if (!entry.live && [...entry.topics].every((topic) => covered.has(topic))) {
			entry.live = true;
			apart(() => entry.callback({ kind: 'resync', first: true }));
		} else if (entry.live && gap) {
			apart(() => entry.callback({ kind: 'resync' }));
		}
	}
	if (missed) for (const callback of [...resyncs]) apart(callback);
}

/**
 * The session is over. "scratchpaper:signed-out" goes out first, so that a half-typed cell can be kept;
 * whoever prevents its default reloads the page later.
 */
function leaveSignedOut() {
	if (!document.dispatchEvent(new CustomEvent('scratchpaper:signed-out', { cancelable: true }))) return;
	const key = 'scratchpaper-signed-out';
	const last = Number(sessionStorage.getItem(key) ?? 0);
	if (Date.now() - last < RELOAD_MS) return;
	sessionStorage.setItem(key, String(Date.now()));
	location.reload();
}

/** An EventSource that is reopened when topics come and go, and after every failure. */
class Stream {
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
		this.source?.close();
		this.next?.close();
		this.source = this.next = null;
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
		if (old) setTimeout(() => old.close(), OVERLAP_MS);
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
		const limit = Date.now() - SILENCE_MS;
		if (this.next && this.openedAt < limit) this.#failed(this.next);
		if (this.source && this.heard < limit) this.#failed(this.source);
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

/** A tab without Web Locks: a stream while it is seen. */
class LoneTab {
	constructor() {
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
		this.stream?.want(wantedTopics());
		if (this.stream) coverAgain(this.stream);
	}

	holdsStream() {
		return this.stream !== null;
	}

	#update() {
		const visible = document.visibilityState === 'visible';
		if (visible && !this.stream) {
			this.stream = new Stream({ hint: deliver, covered: deliverCovered, signedOut: leaveSignedOut });
			this.stream.want(wantedTopics());
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
class SharingTab {
	constructor() {
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
		this.channel = new BroadcastChannel(name);
		this.channel.addEventListener('message', (event) => this.#take(event.data));
		this.#hold(`${name}:tab:${clientId}`, () => {
			this.known = true;
			this.#announce();
		});
		this.#stand(false);
		const ping = setInterval(() => this.#ping(), WATCH_MS);
		this.stopping.signal.addEventListener('abort', () => clearInterval(ping));
	}

	stop() {
		this.#say({ type: 'bye', tab: clientId });
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
		navigator.locks.request(name, options, () => {
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
				deliver(hint);
			},
			covered: (topics, gap) => {
				this.#say({ type: 'covered', topics, gap });
				deliverCovered(topics, gap);
			},
			signedOut: () => {
				this.#say({ type: 'signed-out' });
				leaveSignedOut();
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
		const all = new Set([...wantedTopics(), ...[...this.others.values()].flat()]);
		this.stream?.want([...all].sort());
	}

	/** Not before this tab holds its own lock, by which the other knows how long it lives. */
	#announce() {
		if (!this.known) return;
		this.#say({ type: 'topics', tab: clientId, topics: wantedTopics() });
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
			case 'hint': return deliver(message.hint);
			case 'covered': return deliverCovered(message.topics, message.gap);
			case 'signed-out': return leaveSignedOut();
		}
	}

	/**
	 * @param {Message} message
	 * @param {Stream} stream
	 */
	#takeAsLeader(message, stream) {
		switch (message.type) {
			case 'ping':
				return this.#say({ type: 'pong' });
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
		navigator.locks.request(`${name}:tab:${tab}`, { signal }, () => this.#forget(tab)).catch(() => {});
	}

	/** @param {string} tab */
	#forget(tab) {
		if (this.others.delete(tab)) this.#wantAll();
	}

	/** A tab that is seen makes sure that the stream's holder is awake; browsers put hidden tabs to sleep. */
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

const member = sharing ? new SharingTab() : new LoneTab();
member.start();

window.addEventListener('pagehide', () => member.stop());
window.addEventListener('pageshow', (event) => {
	if (!event.persisted) return;
	for (const entry of entries) entry.live = false; // the page slept: all of it has to catch up
	member.start();
});
