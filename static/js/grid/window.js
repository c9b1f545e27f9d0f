// @ts-check
/**
 * The window on the records: blocks of rows in a spacer of the whole height, only near the viewport, in both directions.
 *
 * @module grid/window
 */
import { aborted, getHTML } from './api.js';
import { gone, never, number, rowsOf, soon } from './rows.js';

export const ROW = 32; // px, as --row
const BLOCK = 16; // rows
const TALLEST = 30_000_000; // px: browsers stop at 33.5 million; beyond it the scroll position is scaled
const NODES = 1_000; // cells and rows kept beside the viewport only up to this many
const BESIDE = 1; // columns kept on each side

/**
 * @typedef {object} Block
 * @property {number} index
 * @property {HTMLElement} el
 * @property {(HTMLElement | undefined)[]} rows
 * @property {string} cols the columns that it holds, joined; "" while it has nothing
 * @property {boolean} stale to be asked for again
 * @property {Request | undefined} request
 */

/** @typedef {{from: number, to: number, cols: string, controller: AbortController}} Request positions of blocks, and what was asked */

export class RowWindow extends EventTarget {
	/** @type {Map<number, Block>} */
	blocks = new Map();
	/** the first visible pixel of the rows, as if they were not scaled */
	top = 0;
	/** px at the lower edge that something lies over: the last row can be scrolled above it */
	covered = 0;
	#scroll = 0; // scrollTop when last looked at
	#frame = 0;
	#idle = 0;
	#down = true;

	/**
	 * @param {import('./grid.js').Grid} grid
	 */
	constructor(grid) {
		super();
		this.grid = grid;
		this.el = grid.el;
		this.body = /** @type {HTMLElement} */ (grid.el.querySelector('.g-body'));
		this.head = /** @type {HTMLElement} */ (grid.el.querySelector('.g-head'));
		this.el.addEventListener('scroll', () => this.#scrolled(), { passive: true });
		new ResizeObserver(() => {
			grid.columns.fit(this.el.clientWidth);
			this.draw();
		}).observe(this.el);
		grid.columns.addEventListener('change', () => this.draw());
	}

	/** Takes over the rows that came with the page. */
	adopt() {
		const rows = /** @type {HTMLElement[]} */ ([...this.body.querySelectorAll('.r')]);
		for (const row of rows) row.remove();
		this.fill(rows, 0, '');
	}

	/**
	 * Puts rows into blocks, from a position on; what they hold is drawn at once and asked for again later.
	 *
	 * @param {HTMLElement[]} rows
	 * @param {number} from
	 * @param {string} cols
	 */
	fill(rows, from, cols) {
		for (let i = 0; i < rows.length; ) {
			const index = Math.floor((from + i) / BLOCK);
			const n = Math.min(rows.length - i, (index + 1) * BLOCK - (from + i));
			const block = this.blocks.get(index) ?? this.#make(index);
			this.#put(block, rows.slice(i, i + n), from + i, cols);
			i += n;
		}
		this.draw();
	}

	get viewHeight() {
		return Math.max(ROW, this.el.clientHeight - this.head.offsetHeight);
	}

	get height() {
		return this.grid.total * ROW;
	}

	/** The furthest that one can scroll. */
	get #last() {
		return Math.max(0, this.height + this.covered - this.viewHeight);
	}

	/** Rows seen whole or in part: from and to (excluded). */
	get seen() {
		const from = Math.max(0, Math.floor(this.top / ROW));
		return { from, to: Math.min(this.grid.total, Math.ceil((this.top + this.viewHeight) / ROW)) };
	}

	#scrolled() {
		if (this.#frame) return;
		this.#frame = requestAnimationFrame(() => {
			this.#frame = 0;
			this.#follow();
			this.draw();
		});
	}

	/** Turns the scroll position into the place in the rows. Small steps are pixels, long ones a part of the whole. */
	#follow() {
		const now = this.el.scrollTop;
		const most = this.el.scrollHeight - this.el.clientHeight;
		const last = this.#last;
		if (this.height <= TALLEST) this.top = now;
		else if (now <= 0) this.top = 0;
		else if (now >= most) this.top = last;
		else if (Math.abs(now - this.#scroll) < 3 * this.viewHeight) this.top += now - this.#scroll;
		else this.top = (now / most) * last;
		this.top = Math.min(Math.max(0, this.top), last);
		if (now !== this.#scroll) this.#down = now > this.#scroll;
		this.#scroll = now;
	}

	/**
	 * Goes to a place in the rows.
	 *
	 * @param {number} top px, as if they were not scaled
	 */
	scrollTo(top) {
		const last = this.#last;
		this.#size();
		top = Math.min(Math.max(0, Math.round(top)), last);
		const most = this.el.scrollHeight - this.el.clientHeight;
		this.el.scrollTop = this.height <= TALLEST ? top : (top / last) * most;
		this.top = top;
		this.#scroll = this.el.scrollTop;
		this.draw();
	}

	#size() {
		const height = `${Math.min(this.height, TALLEST)}px`;
		if (this.body.style.height !== height) this.body.style.height = height;
		this.body.style.marginBottom = `${this.covered}px`;
	}

	/** Draws what is seen: places blocks, asks for those that are missing, drops those that are far. */
	draw() {
		this.#size();
		this.cols = this.grid.columns.seen(this.el.scrollLeft, this.el.clientWidth, BESIDE);
		const { from, to } = this.seen;
		const first = Math.floor(from / BLOCK);
		const last = Math.floor(Math.max(from, to - 1) / BLOCK);
		this.#keep(first, last);
		for (const block of this.blocks.values()) this.#place(block);
		if (this.grid.total === 0 || !this.grid.order) return;
		this.#ask(first, last);
		never(this.#idle);
		this.#idle = soon(() => {
			const [a, b] = this.#around(first, last);
			if (this.grid.order) this.#ask(a, b);
		});
	}

	/**
	 * The blocks to be kept: one more on each side, or only the one that comes next when that is too much.
	 *
	 * @param {number} first
	 * @param {number} last
	 */
	#around(first, last) {
		const most = Math.max(0, Math.ceil(this.grid.total / BLOCK) - 1);
		const cells = (this.cols?.length ?? 0) + 2;
		const both = (last - first + 3) * BLOCK * cells <= NODES;
		return [both || !this.#down ? Math.max(0, first - 1) : first, Math.min(most, both || this.#down ? last + 1 : last)];
	}

	/**
	 * @param {number} first
	 * @param {number} last
	 */
	#keep(first, last) {
		const [a, b] = this.#around(first, last);
		for (const block of this.blocks.values()) {
			if (block.index >= a && block.index <= b && this.grid.total) continue;
			block.el.remove();
			this.blocks.delete(block.index);
		}
		for (const request of new Set([...this.#requests])) {
			if (request.to < a || request.from > b) request.controller.abort();
		}
		for (let i = first; i <= last && this.grid.total; i++) if (!this.blocks.has(i)) this.#make(i);
	}

	/** @type {Set<Request>} */
	#requests = new Set();

	/** @param {number} index */
	#make(index) {
		const el = document.createElement('div');
		el.className = 'blk is-loading';
		/** @type {Block} */
		const block = { index, el, rows: [], cols: '', stale: true, request: undefined };
		this.blocks.set(index, block);
		this.#place(block);
		// In the order of the rows, for those who hear or select them.
		const after = [...this.blocks.values()].filter((b) => b.index > index && b.el.isConnected).sort((x, y) => x.index - y.index)[0];
		this.body.insertBefore(el, after?.el ?? null);
		return block;
	}

	/** @param {Block} block */
	#place(block) {
		const offset = this.height <= TALLEST ? 0 : this.top - this.#scroll;
		block.el.style.transform = `translateY(${block.index * BLOCK * ROW - offset}px)`;
		block.el.style.height = `${Math.min(BLOCK, this.grid.total - block.index * BLOCK) * ROW}px`;
	}

	/**
	 * Asks for the blocks that lack something, neighbours in one request.
	 *
	 * @param {number} first
	 * @param {number} last
	 */
	#ask(first, last) {
		const cols = (this.cols ?? []).join(',');
		/** @type {Block[]} */
		let run = [];
		for (let i = first; i <= last + 1; i++) {
			const block = i <= last ? this.blocks.get(i) ?? this.#make(i) : undefined;
			if (block && this.#lacks(block, cols)) {
				run.push(block);
				continue;
			}
			if (run.length) this.#load(run, cols);
			run = [];
		}
	}

	/**
	 * @param {Block} block
	 * @param {string} cols
	 */
	#lacks(block, cols) {
		if (block.request) return block.request.cols !== cols;
		if (block.stale) return true;
		const has = new Set(block.cols.split(','));
		return cols.split(',').some((c) => !has.has(c));
	}

	/**
	 * @param {Block[]} run
	 * @param {string} cols
	 */
	async #load(run, cols) {
		const controller = new AbortController();
		/** @type {Request} */
		const request = { from: run[0].index, to: run[run.length - 1].index, cols, controller };
		for (const block of run) {
			const old = block.request;
			block.request = request;
			if (old && [...this.blocks.values()].every((b) => b.request !== old)) old.controller.abort();
			block.stale = false;
		}
		this.#requests.add(request);
		const from = request.from * BLOCK;
		const to = Math.min(this.grid.total, (request.to + 1) * BLOCK);
		try {
			const rows = await this.grid.fetchRows(from, to, cols, controller.signal);
			for (const block of run) {
				if (block.request !== request || this.blocks.get(block.index) !== block) continue;
				const at = (block.index - request.from) * BLOCK;
				this.#put(block, rows.slice(at, at + BLOCK), block.index * BLOCK, cols);
			}
		} catch (error) {
			for (const block of run) if (block.request === request) block.stale = true;
			if (!aborted(error)) this.grid.rowsFailed(error);
		} finally {
			this.#requests.delete(request);
			for (const block of run) if (block.request === request) block.request = undefined;
		}
	}

	/**
	 * @param {Block} block
	 * @param {HTMLElement[]} rows
	 * @param {number} from position of the first
	 * @param {string} cols
	 */
	#put(block, rows, from, cols) {
		const start = from - block.index * BLOCK;
		for (const [i, row] of rows.entries()) number(row, from + i);
		if (start === 0) {
			block.rows = rows;
			block.el.replaceChildren(...rows);
		} else {
			block.rows.splice(start, rows.length, ...rows);
			block.el.append(...rows);
		}
		block.cols = cols;
		block.el.classList.remove('is-loading');
		this.dispatchEvent(new CustomEvent('rows', { detail: rows }));
	}

	/** Everything shown is asked for again and replaced in place. */
	refresh() {
		for (const block of this.blocks.values()) block.stale = true;
		this.draw();
	}

	/** Forgets everything: the positions mean other records now. */
	clear() {
		for (const request of this.#requests) request.controller.abort();
		for (const block of this.blocks.values()) block.request = undefined;
	}

	/**
	 * Asks for records by id and replaces those that are shown.
	 *
	 * @param {number[]} ids
	 */
	async patch(ids) {
		const shown = new Map(this.rows().map((row) => [Number(row.dataset.id), row]));
		const wanted = [...new Set(ids)].filter((id) => shown.has(id));
		if (!wanted.length) return;
		const cols = (this.cols ?? []).join(',');
		let html;
		try {
			html = await getHTML(this.grid.at('rows', { ids: wanted.join(','), cols }));
		} catch (error) {
			return this.grid.rowsFailed(error);
		}
		const fresh = new Map(rowsOf(html).map((row) => [Number(row.dataset.id), row]));
		/** @type {HTMLElement[]} */
		const changed = [];
		for (const block of this.blocks.values()) {
			for (const [i, row] of block.rows.entries()) {
				const id = Number(row?.dataset.id);
				if (!row || !wanted.includes(id)) continue;
				const next = fresh.get(id) ?? gone(row);
				number(next, block.index * BLOCK + i);
				row.replaceWith(next);
				block.rows[i] = next;
				fresh.delete(id);
				changed.push(next);
			}
			if (block.cols !== cols) block.stale = block.stale || changed.length > 0;
		}
		this.dispatchEvent(new CustomEvent('rows', { detail: changed }));
	}

	/** @returns {HTMLElement[]} the rows that are in the document, in no order */
	rows() {
		return [...this.blocks.values()].flatMap((block) => /** @type {HTMLElement[]} */ (block.rows.filter(Boolean)));
	}

	/**
	 * @param {number} position
	 * @returns {HTMLElement | undefined}
	 */
	row(position) {
		return this.blocks.get(Math.floor(position / BLOCK))?.rows[position % BLOCK];
	}

	/**
	 * @param {number} position
	 * @param {number} column index of a shown one
	 * @returns {HTMLElement | undefined}
	 */
	cell(position, column) {
		const number = this.grid.columns.shown[column]?.number;
		return this.row(position)?.querySelector(`[data-c="${number}"]`) ?? undefined;
	}

	/**
	 * Where a cell lies in the body that is scrolled, in pixels. What is left of the edge is under the frozen columns.
	 *
	 * @param {number} position
	 * @param {number} column index of a shown one
	 */
	boxOf(position, column) {
		const { columns } = this.grid;
		const frozen = column < columns.fixed;
		const offset = this.height <= TALLEST ? 0 : this.top - this.el.scrollTop;
		const left = columns.lefts[column] + (frozen ? this.el.scrollLeft : 0);
		const top = position * ROW - offset;
		return { left, top, right: left + columns.widthOf(column), bottom: top + ROW, edge: frozen ? 0 : this.el.scrollLeft + columns.frozen };
	}

	/**
	 * Scrolls until a cell is seen whole.
	 *
	 * @param {number} position
	 * @param {number} column index of a shown one; -1 leaves the columns
	 */
	reveal(position, column) {
		const top = position * ROW;
		if (top < this.top) this.scrollTo(top);
		else if (top + ROW > this.top + this.viewHeight - this.covered) this.scrollTo(top + ROW - this.viewHeight + this.covered);
		const columns = this.grid.columns;
		if (column < columns.fixed) return;
		const left = columns.lefts[column];
		const right = left + columns.widthOf(column);
		if (left < this.el.scrollLeft + columns.frozen) this.el.scrollLeft = left - columns.frozen;
		else if (right > this.el.scrollLeft + this.el.clientWidth) this.el.scrollLeft = right - this.el.clientWidth;
		this.draw();
	}
}
