// @ts-check
/**
 * The pointer in the grid: one listener each on the grid. Click, drag, Shift-click, double-click, the fill handle, the
 * columns' edges.
 *
 * @module grid/mouse
 */
import { ROW } from './window.js';

const EDGE = 6; // px around a column's right edge that resize it

/** @typedef {import('./selection.js').Place} Place */

const DRAG = 4; // px that the pointer moves before it drags

export class Mouse {
	/** @type {((event: PointerEvent) => void) | undefined} */
	#moving;
	/** @type {((event: PointerEvent) => void) | undefined} */
	#ending;
	#scroller = 0;
	/** @type {PointerEvent | undefined} */
	#last;
	#began = { x: 0, y: 0 };

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		const { el } = app.grid;
		el.addEventListener('pointerdown', (event) => this.#down(event));
		el.addEventListener('pointermove', (event) => this.#move(event));
		window.addEventListener('pointerup', (event) => this.#up(event)); // also where it was not captured yet
		el.addEventListener('pointercancel', (event) => this.#up(event));
		el.addEventListener('dblclick', (event) => this.#double(event));
		el.addEventListener('click', (event) => this.#click(event));
		this.handle = document.createElement('div');
		this.handle.className = 'fill-handle';
		this.handle.hidden = true;
		app.grid.window.body.append(this.handle);
		app.selection.addEventListener('change', () => this.#placeHandle());
		app.grid.addEventListener('rows', () => this.#placeHandle());
		el.addEventListener('scroll', () => this.#placeHandle(), { passive: true });
	}

	/** The place under the pointer, at the grid's edge when it is outside. @param {PointerEvent | MouseEvent} event @returns {Place} */
	#at(event) {
		const { grid, selection } = this.app;
		const box = grid.el.getBoundingClientRect();
		const y = event.clientY - box.top - grid.window.head.offsetHeight;
		const row = Math.floor((grid.window.top + y) / ROW);
		const x = event.clientX - box.left;
		const { columns } = grid;
		const inside = x < columns.frozen ? x : x + grid.el.scrollLeft;
		let col = columns.shown.findIndex((_, i) => inside < columns.lefts[i] + columns.widthOf(i));
		if (col < 0) col = selection.lastColumn;
		return { row: Math.min(Math.max(0, row), selection.lastRow), col };
	}

	/** @param {PointerEvent} event */
	#down(event) {
		const target = /** @type {HTMLElement} */ (event.target);
		if (event.button !== 0 || target.closest('.editor, .cell-actions, .hm')) return;
		const { grid, editor } = this.app;
		if (editor.isOpen) editor.leave('stay');
		if (target.closest('.g-head')) return this.#downHead(event, target);
		if (target === this.handle) return this.#drag(event, this.#fillDrag());
		if (!target.closest('.r, .blk')) return;
		event.preventDefault();
		grid.el.focus({ preventScroll: true });
		const at = this.#at(event);
		const number = target.closest('.n') !== null;
		if (event.pointerType === 'touch') return; // a tap selects, by click; a swipe scrolls
		this.#choose(event, at, number);
		this.#drag(event, { move: (e) => this.#extend(e, number), end: () => {} });
	}

	/**
	 * @param {MouseEvent} event
	 * @param {Place} at
	 * @param {boolean} number whole records
	 */
	#choose(event, at, number) {
		const { selection } = this.app;
		if (event.shiftKey) selection.extend(at.row, number ? selection.lastColumn : at.col, false);
		else selection.go(at.row, number ? 0 : at.col, { reveal: false, add: event.ctrlKey || event.metaKey });
		if (number) selection.rows();
	}

	/** @param {PointerEvent} event @param {boolean} number */
	#extend(event, number) {
		const at = this.#at(event);
		this.app.selection.extend(at.row, number ? this.app.selection.lastColumn : at.col, false);
	}

	/**
	 * Follows the pointer until it is up, and scrolls while it is near or beyond the edge.
	 *
	 * @param {PointerEvent} event
	 * @param {{move: (event: PointerEvent) => void, end: (event: PointerEvent) => void}} drag
	 */
	#drag(event, drag) {
		event.preventDefault();
		this.#began = { x: event.clientX, y: event.clientY };
		this.#moving = drag.move;
		this.#ending = drag.end;
	}

	/** @param {PointerEvent} event */
	#move(event) {
		if (!this.#moving) return this.#hover(event);
		// Not before it really moves: clicks and double clicks of a captured pointer go to the grid and not to the cell.
		if (Math.hypot(event.clientX - this.#began.x, event.clientY - this.#began.y) < DRAG && !this.#last) return;
		this.app.grid.el.setPointerCapture(event.pointerId);
		this.#last = event;
		this.#moving(event);
		if (!this.#scroller) this.#scroller = window.setInterval(() => this.#creep(), 40);
	}

	/** Scrolls a little while the pointer is held beyond the edge. */
	#creep() {
		const { grid } = this.app;
		const event = this.#last;
		if (!event || !this.#moving) return;
		const box = grid.el.getBoundingClientRect();
		const top = box.top + grid.window.head.offsetHeight;
		const dy = event.clientY < top ? event.clientY - top : Math.max(0, event.clientY - box.bottom + 8);
		const dx = event.clientX < box.left + 8 ? -12 : event.clientX > box.right - 8 ? 12 : 0;
		if (!dy && !dx) return;
		grid.window.scrollTo(grid.window.top + Math.sign(dy) * Math.min(200, Math.abs(dy) * 2));
		grid.el.scrollLeft += dx;
		this.#moving(event);
	}

	/** @param {PointerEvent} event */
	#up(event) {
		if (!this.#moving) return;
		clearInterval(this.#scroller);
		this.#scroller = 0;
		const end = this.#ending;
		this.#moving = this.#ending = this.#last = undefined;
		end?.(event);
	}

	/** The edges of columns show that they can be dragged. @param {PointerEvent} event */
	#hover(event) {
		const target = /** @type {HTMLElement} */ (event.target);
		const cell = target.closest?.('.g-head .hc');
		this.app.grid.window.head.classList.toggle('is-edge', cell ? this.#edge(event, cell) !== undefined : false);
		this.app.review.hover(target.closest?.('.r [data-sug], .r[data-sug]') ?? null);
	}

	/**
	 * The index of the column whose right edge is under the pointer.
	 *
	 * @param {MouseEvent} event
	 * @param {Element} cell
	 */
	#edge(event, cell) {
		const box = cell.getBoundingClientRect();
		const index = this.app.grid.columns.indexOf(Number(/** @type {HTMLElement} */ (cell).dataset.c));
		if (box.right - event.clientX <= EDGE) return index;
		return event.clientX - box.left <= EDGE && index > 0 ? index - 1 : undefined;
	}

	/** @param {PointerEvent} event @param {HTMLElement} target */
	#downHead(event, target) {
		const cell = target.closest('.hc');
		const { grid, selection } = this.app;
		if (!cell) {
			if (target.closest('.n')) selection.all();
			grid.el.focus({ preventScroll: true });
			return event.preventDefault();
		}
		const edge = this.#edge(event, cell);
		if (edge === undefined) return;
		const start = event.clientX;
		const width = grid.columns.widthOf(edge);
		this.#resized = true;
		this.#drag(event, { move: (e) => grid.columns.resize(edge, width + e.clientX - start), end: () => setTimeout(() => (this.#resized = false)) });
	}

	#resized = false;

	/** @param {MouseEvent} event */
	#click(event) {
		const target = /** @type {HTMLElement} */ (event.target);
		const { app } = this;
		const head = target.closest('.g-head .hc');
		if (head instanceof HTMLElement) {
			event.preventDefault();
			if (this.#resized) return;
			const index = app.grid.columns.indexOf(Number(head.dataset.c));
			if (target.closest('.hm')) return app.menu.ofColumn(index, target);
			if (event.detail <= 1) app.tools.sortBy(app.grid.columns.shown[index].slug, event.shiftKey);
			return app.grid.el.focus({ preventScroll: true });
		}
		if (/** @type {PointerEvent} */ (event).pointerType === 'touch' && target.closest('.r')) this.#choose(event, this.#at(event), target.closest('.n') !== null);
	}

	/** @param {MouseEvent} event */
	#double(event) {
		const target = /** @type {HTMLElement} */ (event.target);
		const head = target.closest('.g-head .hc');
		if (head) {
			const edge = this.#edge(event, head);
			if (edge !== undefined) this.app.grid.columns.resize(edge, this.#widest(edge));
			return;
		}
		if (target.closest('.n')) return void this.app.panel.openAt(this.#at(event).row);
		if (target.closest('[data-c]')) this.app.edit();
	}

	/** The width that what is drawn of a column wants. @param {number} index */
	#widest(index) {
		const { number } = this.app.grid.columns.shown[index];
		let widest = 64;
		for (const cell of this.app.grid.el.querySelectorAll(`.r [data-c="${number}"]`)) widest = Math.max(widest, cell.scrollWidth + 4);
		return widest;
	}

	/** The fill handle stands at the lower right corner of the last range. */
	#placeHandle() {
		const { grid, selection, editor } = this.app;
		const { r0, r1, c1 } = selection.range;
		const { from, to } = grid.window.seen;
		this.handle.hidden = !grid.settings.canEdit || editor.isOpen || grid.total === 0 || r1 < from || r1 >= to + 1 || r0 > to || selection.ranges.length > 1 || c1 >= grid.columns.shown.length;
		if (this.handle.hidden) return;
		const { right, bottom, edge } = grid.window.boxOf(r1, c1);
		this.handle.hidden = right < edge;
		this.handle.style.transform = `translate(${right - 5}px, ${bottom - 5}px)`;
	}

	/** Dragging the handle repeats the selection down, up, right or left. */
	#fillDrag() {
		const { selection, commands, grid } = this.app;
		const source = { ...selection.range };
		/** @type {import('./selection.js').Range | undefined} */
		let target;
		return {
			move: (/** @type {PointerEvent} */ event) => {
				const at = this.#at(event);
				const down = at.row > source.r1 ? at.row - source.r1 : at.row < source.r0 ? source.r0 - at.row : 0;
				const right = at.col > source.c1 ? at.col - source.c1 : at.col < source.c0 ? source.c0 - at.col : 0;
				target = undefined;
				if (down && down * 3 >= right) target = at.row > source.r1 ? { ...source, r0: source.r1 + 1, r1: at.row } : { ...source, r0: at.row, r1: source.r0 - 1 };
				else if (right) target = at.col > source.c1 ? { ...source, c0: source.c1 + 1, c1: at.col } : { ...source, c0: at.col, c1: source.c0 - 1 };
				selection.select(target ? joined(source, target) : source);
			},
			end: () => {
				if (target && !commands.locked()) commands.spread(source, target);
				grid.el.focus({ preventScroll: true });
			},
		};
	}
}

/**
 * @param {import('./selection.js').Range} a
 * @param {import('./selection.js').Range} b
 */
function joined(a, b) {
	return { r0: Math.min(a.r0, b.r0), r1: Math.max(a.r1, b.r1), c0: Math.min(a.c0, b.c0), c1: Math.max(a.c1, b.c1) };
}
