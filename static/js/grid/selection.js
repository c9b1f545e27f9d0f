// @ts-check
/**
 * The active cell and the selected ranges. Both are places in the shown order, so that they are there beyond what is drawn.
 * The focus stays on the grid; the active cell is named by aria-activedescendant.
 *
 * @module grid/selection
 */

/** @typedef {{row: number, col: number}} Place row: position; col: index of a shown column */
/** @typedef {{r0: number, r1: number, c0: number, c1: number}} Range ends included */

const MOST_RANGES = 200;

export class Selection extends EventTarget {
	/** @type {Place} */
	active = { row: 0, col: 0 };
	/** @type {Place} the corner that stays while the selection is extended */
	anchor = { row: 0, col: 0 };
	/** @type {Range[]} the last one is being extended */
	ranges = [{ r0: 0, r1: 0, c0: 0, c1: 0 }];
	/** @type {HTMLElement | undefined} */
	#named;

	/** @param {import('./grid.js').Grid} grid */
	constructor(grid) {
		super();
		this.grid = grid;
		grid.addEventListener('rows', (event) => this.paint(/** @type {CustomEvent<HTMLElement[]>} */ (event).detail));
		grid.addEventListener('order', () => this.#inside());
		grid.columns.addEventListener('change', () => this.#inside());
	}

	get lastRow() {
		return Math.max(0, this.grid.total - 1);
	}

	get lastColumn() {
		return Math.max(0, this.grid.columns.shown.length - 1);
	}

	/** The range that is being extended. */
	get range() {
		return this.ranges[this.ranges.length - 1];
	}

	/** @returns {import('./columns.js').Column | undefined} the active cell's column */
	get column() {
		return this.grid.columns.shown[this.active.col];
	}

	/** The number of selected cells. */
	get size() {
		return this.ranges.reduce((n, r) => n + (r.r1 - r.r0 + 1) * (r.c1 - r.c0 + 1), 0);
	}

	/**
	 * @param {number} row
	 * @param {number} col
	 * @returns {Place}
	 */
	#clamp(row, col) {
		return { row: Math.min(Math.max(0, row), this.lastRow), col: Math.min(Math.max(0, col), this.lastColumn) };
	}

	#inside() {
		this.active = this.#clamp(this.active.row, this.active.col);
		this.anchor = this.#clamp(this.anchor.row, this.anchor.col);
		this.ranges = this.ranges.map((r) => {
			const a = this.#clamp(r.r0, r.c0);
			const b = this.#clamp(r.r1, r.c1);
			return { r0: a.row, r1: b.row, c0: a.col, c1: b.col };
		});
		this.#changed(false);
	}

	/**
	 * Makes a cell the active one and the only selected one.
	 *
	 * @param {number} row
	 * @param {number} col
	 * @param {{reveal?: boolean, add?: boolean}} [how] add: keep the other ranges
	 */
	go(row, col, { reveal = true, add = false } = {}) {
		this.active = this.#clamp(row, col);
		this.anchor = { ...this.active };
		const one = { r0: this.active.row, r1: this.active.row, c0: this.active.col, c1: this.active.col };
		this.ranges = add ? [...this.ranges.slice(-MOST_RANGES), one] : [one];
		this.#changed(reveal);
	}

	/**
	 * Stretches the last range from the anchor to a place; the active cell stays.
	 *
	 * @param {number} row
	 * @param {number} col
	 * @param {boolean} [reveal]
	 */
	extend(row, col, reveal = true) {
		const to = this.#clamp(row, col);
		const a = this.anchor;
		this.ranges[this.ranges.length - 1] = {
			r0: Math.min(a.row, to.row), r1: Math.max(a.row, to.row), c0: Math.min(a.col, to.col), c1: Math.max(a.col, to.col),
		};
		this.#changed(false);
		if (reveal) this.grid.window.reveal(to.row, to.col);
	}

	/** The corner of the last range that is not the anchor. @returns {Place} */
	get far() {
		const { r0, r1, c0, c1 } = this.range;
		return { row: this.anchor.row === r0 ? r1 : r0, col: this.anchor.col === c0 ? c1 : c0 };
	}

	/**
	 * @param {Range} range
	 * @param {boolean} [add]
	 */
	select(range, add = false) {
		this.ranges = add ? [...this.ranges.slice(-MOST_RANGES), range] : [range];
		this.#changed(false);
	}

	/**
	 * Selects a block, its first cell active.
	 *
	 * @param {number} r0
	 * @param {number} c0
	 * @param {number} r1
	 * @param {number} c1
	 */
	extendTo(r0, c0, r1, c1) {
		this.active = this.#clamp(r0, c0);
		this.anchor = { ...this.active };
		const end = this.#clamp(r1, c1);
		this.select({ r0: this.active.row, c0: this.active.col, r1: end.row, c1: end.col });
	}

	/** Whole records of the selection. */
	rows() {
		this.ranges = this.ranges.map((r) => ({ ...r, c0: 0, c1: this.lastColumn }));
		this.anchor = { row: this.anchor.row, col: 0 };
		this.#changed(false);
	}

	/** Whole columns of the selection. */
	columns() {
		this.ranges = this.ranges.map((r) => ({ ...r, r0: 0, r1: this.lastRow }));
		this.anchor = { row: 0, col: this.anchor.col };
		this.#changed(false);
	}

	all() {
		this.anchor = { row: 0, col: 0 };
		this.select({ r0: 0, r1: this.lastRow, c0: 0, c1: this.lastColumn });
	}

	/** Moves the active cell inside a selection of several cells, round its edges. @param {number} by @param {boolean} down */
	step(by, down) {
		const { r0, r1, c0, c1 } = this.range;
		const wide = c1 - c0 + 1;
		const high = r1 - r0 + 1;
		const many = wide * high;
		const { row, col } = this.active;
		const at = down ? (col - c0) * high + (row - r0) : (row - r0) * wide + (col - c0);
		const next = (at + by + many) % many;
		this.active = down ? { row: r0 + (next % high), col: c0 + Math.floor(next / high) } : { row: r0 + Math.floor(next / wide), col: c0 + (next % wide) };
		this.#changed(true);
	}

	/** @param {boolean} reveal */
	#changed(reveal) {
		if (reveal) this.grid.window.reveal(this.active.row, this.active.col);
		this.paint(this.grid.window.rows());
		this.dispatchEvent(new Event('change'));
	}

	/**
	 * The selected positions, merged, from and to (excluded).
	 *
	 * @returns {[number, number][]}
	 */
	positions() {
		/** @type {[number, number][]} */
		const out = [];
		for (const r of [...this.ranges].sort((a, b) => a.r0 - b.r0)) {
			const last = out[out.length - 1];
			if (last && r.r0 <= last[1]) last[1] = Math.max(last[1], r.r1 + 1);
			else out.push([r.r0, r.r1 + 1]);
		}
		return out;
	}

	/** The columns of the selection, by number. */
	numbers() {
		const cols = new Set(this.ranges.flatMap((r) => Array.from({ length: r.c1 - r.c0 + 1 }, (_, i) => r.c0 + i)));
		return [...cols].sort((a, b) => a - b).map((i) => this.grid.columns.shown[i].number);
	}

	/**
	 * @param {number} row
	 * @param {number} col
	 */
	has(row, col) {
		return this.ranges.some((r) => row >= r.r0 && row <= r.r1 && col >= r.c0 && col <= r.c1);
	}

	/**
	 * Draws the selection on rows.
	 *
	 * @param {HTMLElement[]} rows
	 */
	paint(rows) {
		const index = new Map(this.grid.columns.shown.map((c, i) => [String(c.number), i]));
		const several = this.size > 1;
		for (const row of rows) {
			const position = Number(row.dataset.pos);
			const touched = this.ranges.some((r) => position >= r.r0 && position <= r.r1);
			row.classList.toggle('has-selection', touched);
			row.classList.toggle('has-active', position === this.active.row);
			for (const cell of row.children) {
				if (!(cell instanceof HTMLElement) || !cell.dataset.c) continue;
				const col = index.get(cell.dataset.c) ?? -1;
				const on = touched && this.has(position, col);
				if (cell.hasAttribute('aria-colindex') === false) cell.setAttribute('aria-colindex', String(col + 2));
				if (on !== cell.hasAttribute('aria-selected')) on ? cell.setAttribute('aria-selected', 'true') : cell.removeAttribute('aria-selected');
				cell.classList.toggle('is-selected', on && several);
				const active = position === this.active.row && col === this.active.col;
				if (active) this.#name(cell);
				else if (cell === this.#named) this.#unname();
			}
		}
		if (this.#named && !this.#named.isConnected) this.#unname();
	}

	/** @param {HTMLElement} cell */
	#name(cell) {
		if (this.#named === cell) return;
		this.#unname();
		this.#named = cell;
		cell.id = 'grid-active';
		cell.classList.add('is-focused');
		this.grid.el.setAttribute('aria-activedescendant', 'grid-active');
	}

	#unname() {
		this.#named?.classList.remove('is-focused');
		this.#named?.removeAttribute('id');
		this.#named = undefined;
		this.grid.el.removeAttribute('aria-activedescendant');
	}

	/** The active cell's element, while it is drawn. */
	get element() {
		return this.grid.window.cell(this.active.row, this.active.col);
	}
}
