// @ts-check
/**
 * Every write of the grid. Writes go one after the other, in the order in which they were made; each is kept in IndexedDB
 * until the server has acknowledged it, so that neither a reload nor a lost network loses one; each carries an
 * Idempotency-Key, so that sending it again does nothing twice. What a closed tab left is sent by the next one.
 *
 * @module grid/outbox
 */
import { clientId } from '../events.js';
import { Problem, problemOf } from './api.js';

const NAME = 'scratchpaper-outbox';
const STORE = 'writes';
const TIMEOUT_MS = 90_000;
const RETRY_MS = 400;
const RETRY_MOST_MS = 15_000;
const FAULTS = 4; // answers of 5xx that a write survives before it is given up and named
const NOT_THERE = [502, 503, 504]; // a process that starts or stops, or the proxy in front of one that is gone: it comes back
const LOOK_MS = 500; // between two looks at a write that the server does as a job

/**
 * @typedef {object} Write
 * @property {string} key Idempotency-Key
 * @property {string} tab
 * @property {string} session person, organization and version
 * @property {number} at time and order in which it was made
 * @property {string} path
 * @property {string} body
 * @property {string} type of the body
 * @property {string} words what it does, for the person
 */

/** @typedef {{id: string, label: string, who: string, done: number, total: number | null, running: boolean}} Job */

/** @typedef {{write: Write, resolve: (answer: any) => void, reject: (error: unknown) => void, faults: number, job?: string}} Waiting */

const meta = document.querySelector('meta[name="scratchpaper-session"]');
const session = meta instanceof HTMLMetaElement ? meta.content : '';
const person = session.split(':').slice(0, 2).join(':');

/** @returns {Promise<IDBDatabase | undefined>} undefined where the browser keeps nothing (private windows of some) */
function open() {
	return new Promise((resolve) => {
		if (!('indexedDB' in window)) return resolve(undefined);
		const request = indexedDB.open(NAME, 1);
		request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' });
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => resolve(undefined);
		request.onblocked = () => resolve(undefined);
	});
}

export class Outbox extends EventTarget {
	/** @type {Waiting[]} */
	#queue = [];
	#running = false;
	#last = 0;
	#database = open();
	/** what keeps the queue from moving, for the person; "" is nothing */
	trouble = '';
	/** what the server does as a job for the write at the head; those behind it wait here until it has ended @type {Job | undefined} */
	job;

	constructor() {
		super();
		window.addEventListener('online', () => this.#wake());
		this.#adopt();
	}

	/** The number of writes that are not acknowledged yet. */
	get waiting() {
		return this.#queue.length;
	}

	/** Resolves when everything that is in the outbox now has been answered. */
	async settled() {
		while (this.#queue.length) await new Promise((resolve) => this.addEventListener('change', resolve, { once: true }));
	}

	/**
	 * Sends a write after those before it. The promise fails with a Problem when the server refuses it.
	 *
	 * @param {string} path
	 * @param {object | URLSearchParams} body
	 * @param {string} words what it does: "Edit of title"
	 * @returns {Promise<any>}
	 */
	send(path, body, words) {
		const form = body instanceof URLSearchParams;
		this.#last = Math.max(Date.now(), this.#last + 0.001);
		const write = {
			key: crypto.randomUUID ? crypto.randomUUID() : `${clientId}-${this.#last}-${Math.random()}`, tab: clientId, session: person, at: this.#last, path, words,
			body: form ? body.toString() : JSON.stringify(body), type: form ? 'application/x-www-form-urlencoded' : 'application/json',
		};
		this.#keep(write);
		return this.#enqueue(write);
	}

	/**
	 * @param {Write} write
	 * @returns {Promise<any>}
	 */
	#enqueue(write) {
		const promise = new Promise((resolve, reject) => this.#queue.push({ write, resolve, reject, faults: 0 }));
		this.#changed();
		this.#run();
		return promise;
	}

	#changed() {
		this.dispatchEvent(new Event('change'));
	}

	async #run() {
		if (this.#running) return;
		this.#running = true;
		let delay = RETRY_MS;
		while (this.#queue.length) {
			const next = this.#queue[0];
			const wait = await (next.job ? this.#look(next) : this.#attempt(next, delay));
			if (wait === 0) {
				delay = RETRY_MS;
				this.job = undefined;
				this.#queue.shift();
				this.#forget(next.write.key);
				this.#changed();
				continue;
			}
			delay = Math.min(delay * 2, RETRY_MOST_MS);
			this.#changed();
			await this.#pause(wait);
		}
		this.#running = false;
	}

	/**
	 * Sends one write. Gives 0 when it was answered for good, else the milliseconds after which to try again.
	 *
	 * @param {Waiting} item
	 * @param {number} delay
	 */
	async #attempt(item, delay) {
		const jittered = delay * (0.75 + Math.random() / 2);
		let response;
		try {
			response = await post(item.write);
		} catch {
			this.trouble = navigator.onLine ? 'The server does not answer' : 'No network';
			return jittered;
		}
		if (response.ok) {
			this.trouble = '';
			const answer = await response.json().catch(() => ({}));
			if (response.status === 202 && answer.job) return this.#follow(item, answer.job);
			item.resolve(answer);
			return 0;
		}
		const problem = await problemOf(response);
		if (response.status === 401) {
			this.trouble = 'You are signed out: sign in again, your changes are kept';
			return RETRY_MOST_MS;
		}
		if ((response.status === 409 && problem.retryAfter) || response.status === 429 || NOT_THERE.includes(response.status)) {
			this.trouble = problem.message;
			return problem.retryAfter ? problem.retryAfter * 1000 : jittered;
		}
		if (response.status >= 500 && ++item.faults < FAULTS) {
			this.trouble = problem.message;
			return jittered;
		}
		this.trouble = '';
		item.reject(problem);
		return 0;
	}

	/**
	 * Keeps a write at the head while the server does it as a job. After a reload it is sent again, and answered with the same job.
	 *
	 * @param {Waiting} item
	 * @param {any} job
	 */
	#follow(item, job) {
		item.job = job.id;
		this.job = { id: job.id, label: job.label, who: job.who ?? '', done: job.progress.done, total: job.progress.total, running: job.state === 'running' };
		return LOOK_MS;
	}

	/**
	 * Looks how far the job of a write is. Gives 0 when it has ended.
	 *
	 * @param {Waiting} item
	 */
	async #look(item) {
		let response;
		try {
			response = await fetch(`/jobs/${item.job}`, { headers: { Accept: 'application/json' }, credentials: 'same-origin', signal: AbortSignal.timeout(TIMEOUT_MS) });
		} catch {
			this.trouble = navigator.onLine ? 'The server does not answer' : 'No network';
			return RETRY_MS * 4;
		}
		if (!response.ok && response.status !== 404) return RETRY_MS * 4;
		this.trouble = '';
		const job = response.ok ? await response.json().catch(() => undefined) : { state: 'failed', error: { sentence: 'What became of this is not known; look at the history.' } };
		if (!job) return RETRY_MS * 4;
		if (job.state === 'done') item.resolve({ refused: [], rows: [], cells: 0, ...job.answer });
		else if (job.state === 'failed') item.reject(new Problem(409, job.error?.sentence ?? 'This failed. Nothing was changed.'));
		else if (job.state === 'cancelled') item.reject(new Problem(409, `“${job.label}” was cancelled. Nothing was changed.`));
		else return this.#follow(item, job);
		return 0;
	}

	/** @param {number} ms */
	#pause(ms) {
		return new Promise((resolve) => {
			const timer = setTimeout(() => resolve(undefined), ms);
			this.#wake = () => {
				clearTimeout(timer);
				resolve(undefined);
			};
		});
	}

	/** Tries again now. */
	#wake = () => {};

	retry() {
		this.#wake();
	}

	/** @param {Write} write */
	async #keep(write) {
		const database = await this.#database;
		if (this.#queue.every((item) => item.write !== write)) return; // answered meanwhile
		database?.transaction(STORE, 'readwrite', { durability: 'relaxed' }).objectStore(STORE).put(write);
	}

	/** @param {string} key */
	async #forget(key) {
		const database = await this.#database;
		database?.transaction(STORE, 'readwrite', { durability: 'relaxed' }).objectStore(STORE).delete(key);
	}

	/** Sends what tabs left that are gone. A living tab holds a lock of its name. */
	async #adopt() {
		const database = await this.#database;
		if (!database) return;
		navigator.locks?.request(`scratchpaper-tab:${clientId}`, () => new Promise(() => {}));
		/** @type {Write[]} */
		const all = await new Promise((resolve) => {
			const request = database.transaction(STORE).objectStore(STORE).getAll();
			request.onsuccess = () => resolve(request.result);
			request.onerror = () => resolve([]);
		});
		const left = all.filter((write) => write.tab !== clientId && write.session === person).sort((a, b) => a.at - b.at);
		for (const tab of new Set(left.map((write) => write.tab))) await this.#adoptTab(tab, left);
	}

	/**
	 * @param {string} tab
	 * @param {Write[]} left
	 */
	async #adoptTab(tab, left) {
		const mine = left.filter((write) => write.tab === tab);
		const send = async () => {
			const answers = await Promise.allSettled(mine.map((write) => this.#enqueue(write)));
			const refused = answers.filter((a) => a.status === 'rejected').length;
			this.dispatchEvent(new CustomEvent('adopted', { detail: { sent: mine.length - refused, refused } }));
		};
		if (!navigator.locks) return send();
		await navigator.locks.request(`scratchpaper-tab:${tab}`, { ifAvailable: true }, async (lock) => {
			if (lock) await send();
		});
	}
}

/** @param {Write} write */
function post(write) {
	return fetch(write.path, {
		method: 'POST', body: write.body, credentials: 'same-origin', signal: AbortSignal.timeout(TIMEOUT_MS),
		headers: { 'Content-Type': write.type, Accept: 'application/json', 'Idempotency-Key': write.key, 'X-Client': clientId },
	});
}

export { Problem };
