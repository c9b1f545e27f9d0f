// @ts-check
/**
 * The status bar: counts, what is selected, the old value of the active cell, what is on its way, the age of the order.
 *
 * @module grid/status
 */
import { aborted, getJSON, settled } from './api.js';
import { el } from './grid.js';
import { records } from './commands.js';

const MOST_SUMMED = 20_000; // cells, as on the server
const TICK_MS = 10_000;

/** Writes a number with its digits in groups, from five on, as the cells do. @param {string | number} number */
function grouped(number) {
	return String(number).replace(/^(-?)(\d{5,})(?=\.|$)/, (_, sign, whole) => sign + whole.replace(/\B(?=(\d{3})+$)/g, ','));
}

export class Status {
	/** the newest version of the table that is known */
	version = 0;
	/** @type {AbortController | undefined} */
	#summing;
	#trouble = '';

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		this.grid = app.grid;
		app.selection.addEventListener('change', () => this.#selected());
		this.grid.addEventListener('rows', () => this.#cell());
		this.grid.addEventListener('order', () => this.#order());
		this.grid.addEventListener('changed', () => this.soon());
		this.grid.addEventListener('trouble', (event) => this.#say(/** @type {CustomEvent} */ (event).detail));
		this.grid.addEventListener('said', (event) => this.say(/** @type {CustomEvent} */ (event).detail));
		this.grid.outbox.addEventListener('change', () => this.#outbox());
		setInterval(() => this.#order(), TICK_MS);
	}

	soon = settled(250, () => this.renew());

	/** Asks for the counts again. */
	async renew() {
		try {
			const counts = await getJSON(this.grid.at('counts'));
			this.#trouble = '';
			this.version = Math.max(this.version, counts.version);
			this.grid.counts = counts;
			this.grid.undo = counts.undo;
			this.grid.redo = counts.redo;
			this.grid.busy = counts.busy;
			this.grid.downloading = counts.downloading;
			this.grid.sayEmpty();
			this.#counts();
			this.#busy();
			this.undoButtons();
			this.#order();
		} catch (error) {
			if (!aborted(error)) this.#say('The server does not answer');
		}
	}

	#counts() {
		const { counts } = this.grid;
		for (const place of document.querySelectorAll('[data-count]')) {
			const [name, table] = (/** @type {HTMLElement} */ (place).dataset.count ?? '').split('/').reverse();
			const known = table ? counts.tables?.[table] ?? {} : counts;
			if (name === 'pending') {
				const n = Object.values(counts.tables ?? { counts }).reduce((sum, c) => sum + (c.edits ?? 0) + (c.created ?? 0) + (c.deleted ?? 0), 0);
				place.textContent = n ? n.toLocaleString('en') : '';
			} else if (name in known) {
				const n = known[name];
				place.textContent = n === null ? '…' : n.toLocaleString('en');
				const shown = place.closest('[data-shows]') ?? (place.closest('.tab') && name !== 'records' ? place : null);
				shown?.toggleAttribute('hidden', !n);
				const words = /** @type {HTMLElement | null | undefined} */ (shown?.querySelector('[data-one]'));
				if (words) words.textContent = (n === 1 ? words.dataset.one : words.dataset.many) ?? '';
			}
		}
		this.app.review.show(counts.suggestions ?? 0);
	}

	/** Undo and redo say what they will do. */
	undoButtons() {
		for (const which of /** @type {const} */ (['undo', 'redo'])) {
			const button = el(`[data-do=${which}]`);
			if (!(button instanceof HTMLButtonElement)) continue;
			const label = this.grid[which];
			button.disabled = label === '';
			button.title = label ? `${which === 'undo' ? 'Undo' : 'Redo'}: ${label}` : `Nothing to ${which}`;
			button.setAttribute('aria-label', button.title);
		}
	}

	#selected() {
		const { selection } = this.app;
		const words = el('#status-selected');
		const rows = selection.positions().reduce((n, [a, b]) => n + b - a, 0);
		if (words) words.textContent = selection.size > 1 ? `${selection.size.toLocaleString('en')} cells in ${records(rows)}` : '';
		this.#cell();
		this.#sum();
	}

	/** What was there before, and what is wrong, of the active cell. */
	#cell() {
		const words = el('#status-cell');
		const cell = this.app.selection.element;
		if (!words) return;
		words.textContent = cell?.classList.contains('is-refused') ? cell.title : cell?.dataset.was !== undefined ? `was ${cell.dataset.was}` : cell?.title.split('\n')[0] ?? '';
		words.classList.toggle('is-error', cell?.classList.contains('is-refused') ?? false);
	}

	/** Shows the old value at the cell until the next step, and says it aloud. */
	sayOld() {
		const cell = this.app.selection.element;
		const was = cell?.dataset.was;
		const words = was === undefined ? 'This cell has not been edited' : `was ${was}`;
		this.say(words);
		this.#hideOld();
		if (!cell) return;
		const box = document.createElement('div');
		box.className = 'old-value';
		box.textContent = words;
		const { left, bottom } = cell.getBoundingClientRect();
		box.style.left = `${left}px`;
		box.style.top = `${bottom + 4}px`;
		document.body.append(box);
		this.#old = box;
		const hide = () => this.#hideOld();
		for (const step of ['keydown', 'pointerdown', 'blur']) window.addEventListener(step, hide, { once: true, capture: true });
		this.grid.el.addEventListener('scroll', hide, { once: true, passive: true });
	}

	/** @type {HTMLElement | undefined} */
	#old;

	#hideOld() {
		this.#old?.remove();
		this.#old = undefined;
	}

	/** @param {string} words for a screen reader, and in the bar */
	say(words) {
		const place = el('#grid-said');
		if (place) place.textContent = words;
		const bar = el('#status-cell');
		if (bar) bar.textContent = words;
	}

	#sum = settled(200, () => this.#sumNow());

	async #sumNow() {
		const words = el('#status-sums');
		const { selection } = this.app;
		if (!words) return;
		words.textContent = '';
		this.#summing?.abort();
		const numbers = selection.numbers();
		const cols = numbers.filter((n) => this.grid.columns.all.find((c) => c.number === n)?.type === 'number');
		const rows = selection.positions();
		const n = rows.reduce((sum, [a, b]) => sum + b - a, 0) * cols.length;
		if (selection.size < 2 || !cols.length || n > MOST_SUMMED || !this.grid.order) return;
		this.#summing = new AbortController();
		try {
			const sums = await getJSON(this.grid.at('aggregate', {
				order: this.grid.order.order, ranges: rows.map(([a, b]) => `${a}-${b}`).join(','), tail: this.grid.tail.join(','), cols: cols.join(','),
			}), this.#summing.signal);
			if (sums.count) words.textContent = `Σ ${grouped(sums.sum)}  avg ${grouped(sums.avg)}  min ${grouped(sums.min)}  max ${grouped(sums.max)}`;
		} catch {
			// the bar stays without sums
		}
	}

	/** Who is doing what to the table as a job, and how far it is. */
	#busy() {
		const line = el('#status-busy');
		const { outbox, busy } = this.grid;
		if (!(line instanceof HTMLAnchorElement)) return;
		const job = outbox.job ?? (busy && { ...busy, id: busy.job });
		line.hidden = !job;
		if (!job) return;
		const part = job.total && job.running ? `, ${Math.floor((100 * job.done) / job.total)} %` : '';
		line.href = `/jobs/${job.id}`;
		line.textContent = `${job.who || 'You'}: ${job.label}${job.running ? part || ' …' : ', waiting for its turn'}`;
		line.title = 'What you change meanwhile is kept here and sent when this has ended.';
	}

	#outbox() {
		this.#busy();
		const place = el('#status-outbox');
		const { outbox, busy } = this.grid;
		if (!place) return;
		const n = outbox.waiting - (outbox.job ? 1 : 0);
		const kept = `${n === 1 ? '1 change is' : `${n.toLocaleString('en')} changes are`} kept here and sent`;
		let words = this.#trouble;
		if (n && (outbox.job || (busy?.running && outbox.trouble))) words = `${kept} when that has ended`;
		else if (n && outbox.trouble) words = `${outbox.trouble.replace(/\.$/, '')}. ${kept} again`;
		place.hidden = !words;
		place.textContent = words;
	}

	/** @param {string} trouble */
	#say(trouble) {
		this.#trouble = trouble;
		this.#outbox();
	}

	/** How many match, how old the order is, and whether others changed something since. */
	#order() {
		const { order, view, counts } = this.grid;
		const match = el('#status-match');
		match?.toggleAttribute('hidden', !order || (!view.filter && !view.find));
		const number = match?.querySelector('b');
		if (number && order) number.textContent = this.grid.total.toLocaleString('en');
		const age = el('#status-order');
		if (!age || !order) return;
		const old = this.version > order.version && (view.sort !== '' || view.filter !== '' || view.find !== '' || counts.records !== this.grid.total);
		age.hidden = !old;
		const seconds = Math.max(1, Math.round((Date.now() - Date.parse(order.made_at)) / 1000));
		const done = view.sort ? 'sorted' : view.filter || view.find ? 'filtered' : 'listed';
		age.textContent = `${done} ${seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`} ago, refresh`;
		age.title = 'Edits do not move records while you look at them. Sort and filter again.';
		this.app.find?.drawn();
	}
}
