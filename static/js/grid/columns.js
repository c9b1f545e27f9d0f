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
 * @property {boolean} [key]
 */

const LEAST_WIDTH = 56;
const MOST_WIDTH = 900;
const NARROW = 640; // px of the window: a phone
const NUMBER_ROOM = 24; // px beside a row's number, with the mark of what is new or deleted
const MOST_FROZEN = 0.5; // of the grid's width, for more than one column

export class Columns extends EventTarget {
	/** @type {Column[]} those shown, in order */
	shown = [];
	/** how many of them stay in place when one scrolls sideways: the first, and the title beside the key where there is room */
	fixed = 1;
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
		this.numbers = Math.max(narrow ? 44 : 56, this.#digits * 8 + NUMBER_ROOM);
		this.lefts = [];
		let left = this.numbers;
		const rules = [];
		this.fixed = this.#roomForTitle ? 2 : 1;
		for (const [i, column] of this.shown.entries()) {
			const width = this.widthOf(i);
			this.lefts.push(left);
			rules.push(`.g [data-c="${column.number}"] { left: ${left}px; width: ${width}px }`);
			if (i < this.fixed) rules.push(`.g [data-c="${column.number}"]:not(#\\#) { position: sticky; z-index: 2 }`);
			left += width;
		}
		for (const number of this.hidden) rules.push(`.g [data-c="${number}"] { display: none }`);
		this.total = left;
		rules.push(`.g .r, .g .h, .g-body { width: ${left}px } .g .n { width: ${this.numbers}px }`);
		this.#sheet.replaceSync(rules.join('\n'));
		this.dispatchEvent(new Event('change'));
	}

	#digits = 1;

	/** Whether the second column says which record it is, the first only being its key, and leaves room for others. */
	get #roomForTitle() {
		const [first, second] = this.shown;
		if (!first?.key || second?.type !== 'text' || second.key) return false;
		return this.numbers + this.widthOf(0) + second.width <= this.#room * MOST_FROZEN;
	}

	#room = window.innerWidth;

	/** Says how wide the grid is. @param {number} width px */
	fit(width) {
		const was = this.#roomForTitle;
		this.#room = width;
		if (this.#roomForTitle !== was) this.place();
	}

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
		return this.shown.slice(0, this.fixed).reduce((sum, _, i) => sum + this.widthOf(i), this.numbers);
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
	 * Whether a shown column is seen whole.
	 *
	 * @param {number} index
	 * @param {number} left scroll position
	 * @param {number} width of what is seen
	 */
	inView(index, left, width) {
		return index < this.fixed || (this.lefts[index] >= left + this.frozen && this.lefts[index] + this.widthOf(index) <= left + width);
	}

	/**
	 * The shown columns that are seen, with some beside them; the frozen ones are always among them.
	 *
	 * @param {number} left scroll position
	 * @param {number} width of what is seen
	 * @param {number} beside columns on each side
	 * @returns {number[]} numbers of columns
	 */
	seen(left, width, beside) {
		let from = this.shown.length;
		let to = 0;
		for (let i = this.fixed; i < this.shown.length; i++) {
			const start = this.lefts[i];
			if (start + this.shown[i].width > left + this.frozen && start < left + width) {
				from = Math.min(from, i);
				to = Math.max(to, i + 1);
			}
		}
		from = Math.max(this.fixed, from - beside);
		to = Math.min(this.shown.length, to + beside);
		return [...Array(this.fixed).keys(), ...Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)].filter((i) => i < this.shown.length).map((i) => this.shown[i].number);
	}
}
