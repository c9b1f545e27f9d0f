// @ts-check
/**
 * Changes of others appear in place: hints name rows, what is shown of them is asked for. Selection, scroll and a
 * half-typed cell stay.
 *
 * @module grid/follow
 */
import { clientId, subscribe } from '../events.js';

const PACE_MS = 400;
const DOWNLOAD_MS = 4_000;
const FEW = 200; // rows patched by id; more refresh what is seen
const COUNTS_MS = 4_000; // between two looks at the counts while others change something all the time: with 200 people they all would ask at each change

export class Follow {
	/** @type {Set<number>} */
	#rows = new Set();
	#all = false;
	#timer = 0;
	#ordered = 0;
	#counting = 0;
	#counted = -Infinity;

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		this.grid = app.grid;
		this.#was = app.grid.downloading;
		subscribe([`snapshot:${this.grid.settings.snapshot}`], (hint) => this.#hint(hint));
		setInterval(() => this.#download(), DOWNLOAD_MS);
	}

	/** @param {import('../events.js').Hint} hint */
	#hint(hint) {
		if (hint.kind === 'presence') return;
		if (hint.kind === 'job') this.#job(hint);
		if (hint.kind === 'resync') {
			if (!hint.first) this.#all = true;
			return this.#soon();
		}
		if (hint.table && hint.table !== this.grid.settings.table) return this.app.status.soon(); // its tab shows counts
		if (hint.version) this.app.status.version = Math.max(this.app.status.version, hint.version);
		if (hint.client !== clientId) {
			for (const id of hint.rows ?? []) this.#rows.add(id);
			if (hint.many || this.#rows.size > FEW) this.#all = true;
		}
		this.#soon();
	}

	/** Writes that wait for a job look how far it is, and are sent once it has ended. @param {import('../events.js').Hint} hint */
	#job(hint) {
		const { outbox } = this.grid;
		const ended = ['done', 'failed', 'cancelled'].includes(hint.data?.state);
		if (outbox.job ? outbox.job.id === hint.job : ended) outbox.retry();
	}

	#soon() {
		this.#timer ||= window.setTimeout(() => this.#draw(), PACE_MS);
	}

	async #draw() {
		this.#timer = 0;
		const rows = [...this.#rows];
		const all = this.#all;
		this.#rows.clear();
		this.#all = false;
		await this.#count();
		if (all) this.grid.window.refresh();
		else if (rows.length) await this.grid.window.patch(rows);
		if (all || rows.length) this.app.panel.renew(all ? undefined : rows);
		this.#download();
	}

	/** The counts are asked for at once, then again when it suits: each browser at its own time. */
	async #count() {
		if (this.#counting) return;
		const wait = this.#counted + COUNTS_MS * (0.75 + Math.random() / 2) - performance.now();
		if (wait > 0 && !this.grid.downloading && !this.grid.busy) {
			this.#counting = window.setTimeout(() => {
				this.#counting = 0;
				this.#counted = performance.now();
				this.app.status.renew();
			}, wait);
			return;
		}
		this.#counted = performance.now();
		await this.app.status.renew();
	}

	/** During a download the order grows with it, every few seconds, while nobody is in the middle of something. */
	#download() {
		const { grid, app } = this;
		const grown = grid.order && app.status.version > grid.order.version;
		// An order may be from before the first records came, and the download over before anybody was told of it.
		const hollow = grid.total === 0 && !grid.view.filter && !grid.view.find && Boolean(grid.counts.records);
		const waiting = grid.downloading || this.#was || hollow;
		if (!waiting || !grown || app.editor.isOpen || grid.busyTaking || Date.now() - this.#ordered < DOWNLOAD_MS) return;
		this.#ordered = Date.now();
		this.#was = grid.downloading;
		grid.takeOrder({ fresh: true });
	}

	#was = false; // one more order after the download has ended
}
