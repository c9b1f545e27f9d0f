// @ts-check
/**
 * The columns: which are shown, how wide, where. Widths and places are rules of one constructed style sheet, so that
 * cells carry none and a resize changes one rule.
 *
 * @module grid/columns
 */

/**
 * @typedef {object} Column
 * @property {number} number
 * @property {string} slug
 * @property {string} title
 * @property {string} type
 * @property {number} width
 * @property {boolean} writable
 * @property {string} [whyNot]
 * @property {string[]} [choices]
 * @property {boolean} [open]
 * @property {boolean} [required]
 * @property {boolean} [insertOnly]
 * @property {string} [target] of references: the table they point to, when it is in the snapshot
 */

const LEAST_WIDTH = 56;
const MOST_WIDTH = 900;
const NARROW = 640; // px of the window: a phone

export class Columns extends EventTarget {
	/** @type {Column[]} those shown, in order; the first is frozen */
	shown = [];
	/** @type {number[]} left edges of the shown ones, from the grid's left edge */
	lefts = [];
	/** width of the row numbers */
	numbers = 56;
	/** width of all */
	total = 0;
	#sheet = new CSSStyleSheet();
	#key;

	/**
	 * @param {Column[]} all
	 * @param {string} table id: widths and hidden columns are kept for it in this browser
	 */
	constructor(all, table) {
		super();
		this.all = all;
		this.#key = `scratchpaper-columns:${table}`;
		const kept = this.#kept();
		/** @type {Set<number>} */
		this.hidden = new Set(kept.hidden);
		for (const column of all) column.width = kept.widths[column.number] ?? column.width;
		document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#sheet];
		this.place();
		matchMedia(`(max-width: ${NARROW}px)`).addEventListener('change', () => this.place());
	}

	/** @returns {{hidden: number[], widths: Record<number, number>}} */
	#kept() {
		try {
			const kept = JSON.parse(localStorage.getItem(this.#key) ?? '{}');
			return { hidden: kept.hidden ?? [], widths: kept.widths ?? {} };
		} catch {
			return { hidden: [], widths: {} };
		}
	}

	#keep() {
		const widths = Object.fromEntries(this.all.map((c) => [c.number, c.width]));
		try {
			localStorage.setItem(this.#key, JSON.stringify({ hidden: [...this.hidden], widths }));
		} catch {
			// a full or forbidden storage costs the memory of widths, nothing else
		}
	}

	/** Works out where each column stands and writes the rules. */
	place() {
		const narrow = window.innerWidth <= NARROW;
		this.shown = this.all.filter((c) => !this.hidden.has(c.number));
		this.numbers = Math.max(narrow ? 44 : 56, this.#digits * 8 + 16);
		this.lefts = [];
		let left = this.numbers;
		const rules = [];
		for (const [i, column] of this.shown.entries()) {
			const width = this.widthOf(i);
			this.lefts.push(left);
			rules.push(`.g [data-c="${column.number}"] { left: ${left}px; width: ${width}px }`);
			if (i === 0) rules.push(`.g [data-c="${column.number}"]:not(#\\#) { position: sticky; z-index: 2 }`);
			left += width;
		}
		for (const number of this.hidden) rules.push(`.g [data-c="${number}"] { display: none }`);
		this.total = left;
		rules.push(`.g .r, .g .h, .g-body { width: ${left}px } .g .n { width: ${this.numbers}px }`);
		this.#sheet.replaceSync(rules.join('\n'));
		this.dispatchEvent(new Event('change'));
	}

	#digits = 1;

	/** Makes room for the row numbers. @param {number} rows */
	count(rows) {
		const digits = String(rows).length;
		if (digits === this.#digits) return;
		this.#digits = digits;
		this.place();
	}

	/** @param {number} index of a shown column */
	widthOf(index) {
		const { width } = this.shown[index];
		return index === 0 && window.innerWidth <= NARROW ? Math.min(width, Math.round(window.innerWidth * 0.55)) : width;
	}

	/** The right edge of what stays in place when one scrolls sideways. */
	get frozen() {
		return this.numbers + (this.shown.length ? this.widthOf(0) : 0);
	}

	/**
	 * @param {number} index of a shown column
	 * @param {number} width px
	 */
	resize(index, width) {
		this.shown[index].width = Math.round(Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, width)));
		this.#keep();
		this.place();
	}

	/**
	 * @param {number} number
	 * @param {boolean} visible
	 */
	show(number, visible) {
		if (visible) this.hidden.delete(number);
		else if (this.shown.length > 1) this.hidden.add(number);
		this.#keep();
		this.place();
	}

	/** @param {number} number */
	indexOf(number) {
		return this.shown.findIndex((c) => c.number === number);
	}

	/**
	 * The shown columns that are seen, with some beside them; the frozen first one is always among them.
	 *
	 * @param {number} left scroll position
	 * @param {number} width of what is seen
	 * @param {number} beside columns on each side
	 * @returns {number[]} numbers of columns
	 */
	seen(left, width, beside) {
		let from = this.shown.length;
		let to = 0;
		for (let i = 1; i < this.shown.length; i++) {
			const start = this.lefts[i];
			if (start + this.shown[i].width > left + this.frozen && start < left + width) {
				from = Math.min(from, i);
				to = Math.max(to, i + 1);
			}
		}
		from = Math.max(1, from - beside);
		to = Math.min(this.shown.length, to + beside);
		return [0, ...Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)].filter((i) => i < this.shown.length).map((i) => this.shown[i].number);
	}
}
