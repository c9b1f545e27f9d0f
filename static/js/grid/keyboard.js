// @ts-check
/**
 * The keys of the grid, as the WAI-ARIA grid pattern and spreadsheets have them. On a Mac Cmd stands for Ctrl and no
 * Alt+letter is used.
 *
 * @module grid/keyboard
 */
import { openDialog } from '../app.js';

const mac = /Mac|iPhone|iPad/.test(navigator.platform);

// The parts of the page in the order of F6, and what can be focused in them.
const PARTS = ['#grid', '#review', '#record-panel', '#grid-status', 'header', '.tabs', '#grid-tools'];
const FOCUSABLE = 'a[href], button:not([disabled], [tabindex="-1"]), input:not([type=hidden]), select, textarea, summary';

/** @typedef {(event: KeyboardEvent) => void | boolean} Act gives false for a key that is not taken after all */

export class Keyboard {
	/**
	 * @param {import('./main.js').App} app
	 */
	constructor(app) {
		this.app = app;
		app.grid.el.addEventListener('keydown', (event) => this.#key(event));
		document.addEventListener('keydown', (event) => this.#anywhere(event));
	}

	/** @param {KeyboardEvent} event */
	#key(event) {
		if (event.target !== this.app.grid.el || event.isComposing) return;
		const act = this.#find(event);
		if (act) {
			if (act(event) !== false) event.preventDefault();
			return;
		}
		this.#typed(event);
	}

	/** Typing replaces: the editor opens before the browser delivers the character, so that dead keys and IMEs work. @param {KeyboardEvent} event */
	#typed(event) {
		const { key } = event;
		if (event.ctrlKey || event.metaKey || (event.altKey && !event.getModifierState('AltGraph') && !mac)) return;
		if (key.length !== 1 && key !== 'Process' && key !== 'Dead' && key !== 'Unidentified') return;
		const { selection, commands, editor } = this.app;
		if (commands.locked(selection.column)) return event.preventDefault();
		editor.open(selection.active.row, selection.active.col, { replace: true });
	}

	/**
	 * @param {KeyboardEvent} event
	 * @returns {Act | undefined}
	 */
	#find(event) {
		const control = mac ? event.metaKey : event.ctrlKey;
		const { key, altKey, shiftKey } = event;
		if (altKey && !control) return this.#withAlt(event);
		const lower = key.length === 1 ? key.toLowerCase() : key;
		if (control) return this.#withControl(lower, shiftKey);
		return this.#plain(key, shiftKey);
	}

	/** @param {KeyboardEvent} event @returns {Act | undefined} */
	#withAlt({ key }) {
		const { review } = this.app;
		switch (key) {
			case 'ArrowDown': return () => void review.go(1);
			case 'ArrowUp': return () => void review.go(-1);
			case 'Enter': return () => void review.decide('accept');
			case 'Backspace': return () => void review.decide('reject');
			case 'o': return mac ? undefined : () => this.app.status.sayOld();
		}
		return undefined;
	}

	/** @param {string} key @param {boolean} shift @returns {Act | undefined} */
	#withControl(key, shift) {
		const { selection, commands } = this.app;
		switch (key) {
			case 'ArrowUp': case 'ArrowDown': case 'ArrowLeft': case 'ArrowRight': return () => this.#edge(key, shift);
			case 'Home': return () => this.#to(0, 0, shift);
			case 'End': return () => this.#to(selection.lastRow, selection.lastColumn, shift);
			case 'a': return () => selection.all();
			case ' ': return () => selection.columns();
			case 'd': return () => void commands.fillFrom(false);
			case 'r': return () => (selection.range.c0 === selection.range.c1 ? false : void commands.fillFrom(true));
			case 'z': return () => void commands.back(shift ? 'redo' : 'undo');
			case 'y': return () => void commands.back('redo');
			case 'Enter': return shift ? undefined : () => this.app.fillWithActive(); // with Shift it publishes, as everywhere
			case 'Backspace': return () => selection.go(selection.active.row, selection.active.col);
			case ';': return () => this.app.editNow(new Date().toISOString().slice(0, 10));
		}
		return undefined;
	}

	/** @param {string} key @param {boolean} shift @returns {Act | undefined} */
	#plain(key, shift) {
		const { selection, commands, grid } = this.app;
		const { active } = selection;
		const page = Math.max(1, Math.floor(grid.window.viewHeight / 32) - 1);
		switch (key) {
			case 'ArrowUp': return () => this.#step(-1, 0, shift);
			case 'ArrowDown': return () => this.#step(1, 0, shift);
			case 'ArrowLeft': return () => this.#step(0, -1, shift);
			case 'ArrowRight': return () => this.#step(0, 1, shift);
			case 'PageUp': return () => this.#step(-page, 0, shift);
			case 'PageDown': return () => this.#step(page, 0, shift);
			case 'Home': return () => this.#to(shift ? selection.far.row : active.row, 0, shift);
			case 'End': return () => this.#to(shift ? selection.far.row : active.row, selection.lastColumn, shift);
			case 'Tab': return () => this.#tab(shift);
			case 'Enter': return shift ? () => this.#enter(-1) : () => this.app.edit();
			case 'F2': return () => this.app.edit();
			case 'F3': return () => void this.app.find.next(shift ? -1 : 1);
			case 'Delete': case 'Backspace': return () => void commands.fill('');
			case 'Escape': return () => this.#escape();
			case ' ':
				if (shift) return () => selection.rows();
				return selection.column?.type === 'checkbox' ? () => void commands.toggle() : () => void this.app.panel.openAt(active.row);
			case 'ContextMenu': return () => this.app.menu.atActive();
			case 'F10': return shift ? () => this.app.menu.atActive() : undefined;
		}
		return undefined;
	}

	/**
	 * @param {number} rows
	 * @param {number} cols
	 * @param {boolean} extend
	 */
	#step(rows, cols, extend) {
		const { selection } = this.app;
		if (extend) selection.extend(selection.far.row + rows, selection.far.col + cols);
		else selection.go(selection.active.row + rows, selection.active.col + cols);
	}

	/**
	 * @param {number} row
	 * @param {number} col
	 * @param {boolean} extend
	 */
	#to(row, col, extend) {
		const { selection } = this.app;
		if (extend) selection.extend(row, col);
		else selection.go(row, col);
	}

	/** Ctrl+arrow: to the edge of the data. @param {string} key @param {boolean} extend */
	#edge(key, extend) {
		const { selection } = this.app;
		const from = extend ? selection.far : selection.active;
		if (key === 'ArrowUp') this.#to(0, from.col, extend);
		if (key === 'ArrowDown') this.#to(selection.lastRow, from.col, extend);
		if (key === 'ArrowLeft') this.#to(from.row, 0, extend);
		if (key === 'ArrowRight') this.#to(from.row, selection.lastColumn, extend);
	}

	/** Tab goes on to the next cell, and out of the grid at its ends. @param {boolean} back @returns {boolean | void} */
	#tab(back) {
		const { selection } = this.app;
		if (selection.size > 1 && selection.ranges.length === 1) return selection.step(back ? -1 : 1, false);
		const { row, col } = selection.active;
		const next = col + (back ? -1 : 1);
		if (next >= 0 && next <= selection.lastColumn) return selection.go(row, next);
		const line = row + (back ? -1 : 1);
		if (line < 0 || line > selection.lastRow) return false;
		selection.go(line, back ? selection.lastColumn : 0);
	}

	/** @param {number} by */
	#enter(by) {
		const { selection } = this.app;
		if (selection.size > 1) selection.step(by, true);
		else this.#step(by, 0, false);
	}

	/** Esc ends, one at a time: what was refused in the cell, the panel, the selection, the search. @returns {boolean | void} */
	#escape() {
		const { selection, overlay, grid, panel, find } = this.app;
		const record = grid.idAt(selection.active.row);
		if (record !== undefined && selection.column && overlay.dismiss(record, selection.column.number)) return;
		if (panel.isOpen) return panel.close();
		if (selection.size > 1) return selection.go(selection.active.row, selection.active.col);
		if (grid.view.find) return find.end();
		return false;
	}

	/** Keys that work wherever the focus is on this page. @param {KeyboardEvent} event */
	#anywhere(event) {
		const control = mac ? event.metaKey : event.ctrlKey;
		const { find, replace, panel, grid } = this.app;
		const key = event.key.toLowerCase();
		if (document.querySelector('dialog[open]')) return;
		if (control && key === 'f' && !event.shiftKey && !event.altKey) {
			if (find.open()) event.preventDefault(); // a second one is the browser's own
		} else if (control && key === 'h' && !event.altKey) {
			event.preventDefault();
			replace.open();
		} else if (event.key === 'Escape' && panel.isOpen && !event.defaultPrevented && (panel.has(document.activeElement) || document.activeElement === document.body)) {
			event.preventDefault();
			panel.close();
		} else if (event.key === 'F6') {
			event.preventDefault();
			this.#part(event.shiftKey ? -1 : 1);
		} else if (event.key === '?' && event.target === grid.el && !grid.settings.canEdit) {
			openDialog('keys');
		}
	}

	/** F6 goes to the next part of the page: Tab stays in the grid. @param {number} by */
	#part(by) {
		const parts = PARTS.map((p) => document.querySelector(p)).filter((p) => p instanceof HTMLElement && p.checkVisibility());
		const at = parts.findIndex((p) => p?.contains(document.activeElement));
		for (let i = 1; i <= parts.length; i++) {
			const part = parts[(at + by * i + parts.length * (i + 1)) % parts.length];
			const first = part?.matches('[tabindex="0"]') ? part : [...(part?.querySelectorAll(FOCUSABLE) ?? [])].find((e) => e.checkVisibility());
			if (first instanceof HTMLElement) return first.focus();
		}
	}
}
