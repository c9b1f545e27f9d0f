// @ts-check
/**
 * What is shown: table, view, order, counts. The other modules hang on it and tell each other by its events:
 * "order" (the positions mean other records, or there are more), "rows" (rows were drawn), "counts", "view".
 *
 * @module grid/grid
 */
import { toast } from '../toast.js';
import { aborted, address, getHTML, getJSON, Problem } from './api.js';
import { Columns } from './columns.js';
import { Outbox } from './outbox.js';
import { rowsOf } from './rows.js';
import { RowWindow } from './window.js';

/** @typedef {{order: string, rows: number, version: number, made_at: string, position: number}} Order */
/** @typedef {{filter: string, sort: string, find: string}} View */
/** @typedef {Record<string, number | null>} Counts */
/** @typedef {Counts & {tables?: Record<string, Counts>}} AllCounts of the table shown, and of every tab */
/**
 * @typedef {object} Settings
 * @property {string} base
 * @property {string} snapshot
 * @property {string} table
 * @property {import('./columns.js').Column[]} columns
 * @property {string} filter
 * @property {string} sort
 * @property {string} find
 * @property {Order | null} order
 * @property {AllCounts} counts
 * @property {boolean} canEdit
 * @property {boolean} canDecide
 * @property {boolean} creatable
 * @property {string} whyNoNew
 * @property {boolean} deletable
 * @property {string} whyNoDel
 * @property {boolean} downloading
 * @property {string} cell
 */
/** @typedef {{job: string, label: string, who: string, mine: boolean, running: boolean, done: number, total: number | null}} Busy */
/**
 * @typedef {object} Answer of a write
 * @property {number} batch
 * @property {string} [label]
 * @property {number} cells
 * @property {{index: number, record?: number, column?: number, reason: string}[]} refused
 * @property {number} [more_refused] that are not in refused
 * @property {{record?: number, reason: string}[]} [left]
 * @property {number[]} rows
 * @property {number[]} [created]
 * @property {number} version
 * @property {string} [table]
 */

const COLD_MS = 150; // an order that takes longer is not waited for: the first records come by themselves

export class Grid extends EventTarget {
	/** @type {Order | null} */
	order = null;
	/** @type {number[]} ids of records made since the order */
	tail = [];
	/** records known to be there while there is no order */
	#cold = 0;
	/** @type {AbortController | undefined} */
	#taking;
	outbox = new Outbox();
	/** what somebody does to the table as a job @type {Busy | null} */
	busy = null;
	undo = '';
	redo = '';

	/**
	 * @param {Settings} settings
	 * @param {HTMLElement} el
	 */
	constructor(settings, el) {
		super();
		this.settings = settings;
		this.el = el;
		/** @type {View} */
		this.view = { filter: settings.filter, sort: settings.sort, find: settings.find };
		this.counts = settings.counts;
		this.downloading = settings.downloading;
		this.columns = new Columns(settings.columns, settings.table);
		this.columns.count(settings.counts.records ?? 0);
		this.window = new RowWindow(this);
		this.window.addEventListener('rows', (event) => this.dispatchEvent(new CustomEvent('rows', { detail: /** @type {CustomEvent} */ (event).detail })));
	}

	/** Shows the records that came with the page and takes the order. */
	async start() {
		this.#cold = this.window.body.querySelectorAll('.r').length;
		this.sayEmpty();
		this.window.adopt();
		await this.takeOrder({});
	}

	get total() {
		return this.order ? this.order.rows + this.tail.length : this.#cold;
	}

	get busyTaking() {
		return this.#taking !== undefined;
	}

	/** Resolves when the order is that of the view: none is being asked for. */
	async taken() {
		while (this.#taking) await new Promise((resolve) => this.addEventListener('taken', resolve, { once: true }));
	}

	/**
	 * @param {string} path under the table's address
	 * @param {Record<string, string | number | undefined>} [params]
	 */
	at(path, params) {
		return address(`${this.settings.base}/${path}`, params);
	}

	/** The view as parameters. @returns {Record<string, string>} */
	get params() {
		return { ...this.view };
	}

	/**
	 * Takes the order of the view, a new one if it is to be fresh, and keeps the place by the top record. Gives false when
	 * the view was refused; the old rows stay.
	 *
	 * @param {{fresh?: boolean, top?: boolean, cold?: boolean}} how top: go to the first record; cold: other records than before
	 * @returns {Promise<boolean>}
	 */
	async takeOrder({ fresh, top, cold }) {
		this.#taking?.abort();
		const controller = new AbortController();
		this.#taking = controller;
		const keep = top ? undefined : this.topRecord();
		const path = this.at('order', { ...this.params, fresh: fresh ? 1 : undefined, keep: keep?.id });
		const timer = cold ? setTimeout(() => this.#showFirst(controller.signal), COLD_MS) : 0;
		try {
			const order = /** @type {Order} */ (await getJSON(path, controller.signal));
			this.#use(order, keep?.offset ?? 0, Boolean(top));
			return true;
		} catch (error) {
			if (aborted(error)) return true;
			if (error instanceof Problem && error.status === 422) {
				this.dispatchEvent(new CustomEvent('refused', { detail: error.message }));
			} else {
				toast('error', error instanceof Error ? error.message : String(error));
			}
			return false;
		} finally {
			clearTimeout(timer);
			if (this.#taking === controller) {
				this.#taking = undefined;
				this.dispatchEvent(new Event('taken'));
			}
		}
	}

	/** @param {AbortSignal} signal */
	async #showFirst(signal) {
		try {
			const rows = rowsOf(await getHTML(this.at('rows', { ...this.params, first: 1, cols: this.columns.all.map((c) => c.number).join(',') }), signal));
			if (signal.aborted || this.#taking?.signal !== signal) return; // the order was faster
			this.order = null;
			this.tail = [];
			this.#cold = rows.length;
			this.window.clear();
			this.window.scrollTo(0);
			this.window.fill(rows, 0, '');
		} catch {
			// the order itself will say what is wrong
		}
	}

	/**
	 * @param {Order} order
	 * @param {number} offset px of the top record above the window
	 * @param {boolean} top
	 */
	#use(order, offset, top) {
		this.order = order;
		this.tail = [];
		this.window.clear();
		this.columns.count(order.rows);
		this.el.setAttribute('aria-rowcount', String(order.rows + 1));
		this.sayEmpty();
		if (top) this.window.scrollTo(0);
		else if (order.position >= 0) this.window.scrollTo(order.position * 32 + offset);
		else this.window.scrollTo(Math.min(this.window.top, Math.max(0, this.window.height - this.window.viewHeight)));
		this.dispatchEvent(new Event('order'));
		this.window.refresh();
	}

	/** Says why there are no records, when there are none. */
	sayEmpty() {
		const why = this.view.filter || this.view.find ? 'view' : this.downloading ? 'download' : 'table';
		el('.g-empty', this.el)?.toggleAttribute('hidden', this.total > 0);
		for (const words of this.el.querySelectorAll('[data-empty]')) words.toggleAttribute('hidden', /** @type {HTMLElement} */ (words).dataset.empty !== why);
	}

	/** @returns {{id: number, offset: number} | undefined} */
	topRecord() {
		const position = this.window.seen.from;
		const row = this.window.row(position);
		return row?.dataset.id ? { id: Number(row.dataset.id), offset: this.window.top - position * 32 } : undefined;
	}

	/**
	 * Rows of positions in the order, and behind its end of the records made since.
	 *
	 * @param {number} from
	 * @param {number} to
	 * @param {string} cols
	 * @param {AbortSignal} signal
	 * @returns {Promise<HTMLElement[]>}
	 */
	async fetchRows(from, to, cols, signal) {
		const order = this.order;
		if (!order) return [];
		const tail = this.tail.slice(Math.max(0, from - order.rows), Math.max(0, to - order.rows));
		const parts = [];
		if (from < order.rows) parts.push(getHTML(this.at('rows', { order: order.order, from, to: Math.min(to, order.rows), cols }), signal));
		if (tail.length) parts.push(getHTML(this.at('rows', { ids: tail.join(','), cols }), signal));
		const html = await Promise.all(parts);
		if (this.order !== order) throw new DOMException('the order changed', 'AbortError');
		const rows = rowsOf(html[0] ?? '');
		if (html.length === 2) rows.push(...rowsOf(html[1]));
		return rows;
	}

	/** @param {unknown} error */
	rowsFailed(error) {
		if (error instanceof Problem && error.status === 409) return void this.takeOrder({});
		clearTimeout(this.#again);
		this.#again = window.setTimeout(() => this.window.draw(), 1500);
		this.dispatchEvent(new CustomEvent('trouble', { detail: error instanceof Problem ? error.message : 'The server does not answer' }));
	}

	#again = 0;

	/**
	 * Puts new records behind the last one.
	 *
	 * @param {number[]} ids
	 */
	append(ids) {
		this.tail.push(...ids.filter((id) => !this.tail.includes(id)));
		this.sayEmpty();
		this.dispatchEvent(new Event('order'));
		this.window.refresh();
	}

	/**
	 * The id of the record at a position; undefined when it is not known here.
	 *
	 * @param {number} position
	 * @returns {number | undefined}
	 */
	idAt(position) {
		const id = this.window.row(position)?.dataset.id;
		if (id) return Number(id);
		return this.order && position >= this.order.rows ? this.tail[position - this.order.rows] : undefined;
	}

	/**
	 * The id of the record at a position, asked for when it is not here.
	 *
	 * @param {number} position
	 * @returns {Promise<number | undefined>}
	 */
	async recordAt(position) {
		const id = this.idAt(position);
		if (id !== undefined || position < 0 || position >= this.total) return id;
		const rows = await this.fetchRows(position, position + 1, String(this.columns.shown[0].number), new AbortController().signal);
		return rows[0] ? Number(rows[0].dataset.id) : undefined;
	}

	/**
	 * Where a record stands, -1 when it is not in the view.
	 *
	 * @param {number} record
	 */
	async positionOf(record) {
		const shown = this.window.rows().find((row) => Number(row.dataset.id) === record);
		if (shown) return Number(shown.dataset.pos);
		const late = this.tail.indexOf(record);
		if (late >= 0 && this.order) return this.order.rows + late;
		if (!this.order) return -1;
		const at = await getJSON(this.at('order', { order: this.order.order, keep: record }));
		return at.position;
	}

	/**
	 * A selection as the server takes it: positions in the order that is shown, and the records behind its end.
	 *
	 * @param {[number, number][]} ranges positions from and to (excluded)
	 */
	chosen(ranges) {
		return { order: this.order?.order ?? '', ranges, tail: this.tail };
	}

	/**
	 * Changes the view: the address, the tools, the order.
	 *
	 * @param {Partial<View>} change
	 * @returns {Promise<boolean>} whether the server took it
	 */
	async setView(change) {
		const before = this.view;
		this.view = { ...this.view, ...change };
		const taken = await this.takeOrder({ top: true, cold: true });
		if (!taken) this.view = before;
		else this.dispatchEvent(new Event('view'));
		return taken;
	}
}

/**
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {HTMLElement | null}
 */
export function el(selector, root = document) {
	return root.querySelector(selector);
}
