// @ts-check
/**
 * The menus of a cell, a record and a column: everything that the keyboard does, by name, with its key.
 *
 * @module grid/menu
 */

/** @typedef {{text: string, key?: string, act: () => unknown, off?: boolean} | null} Item null is a line between parts */

const mac = /Mac|iPhone|iPad/.test(navigator.platform);

export class Menu {
	/** @type {HTMLElement | undefined} */
	#box;

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		app.grid.el.addEventListener('contextmenu', (event) => this.#open(event));
		document.addEventListener('pointerdown', (event) => {
			if (this.#box && event.target instanceof Node && !this.#box.contains(event.target)) this.close();
		});
		window.addEventListener('blur', () => this.close());
		app.grid.el.addEventListener('scroll', () => this.close(), { passive: true });
	}

	/** @param {MouseEvent} event */
	#open(event) {
		const target = /** @type {HTMLElement} */ (event.target);
		if (target.closest('.editor')) return;
		const head = target.closest('.g-head .hc');
		const { selection, grid } = this.app;
		if (head instanceof HTMLElement) {
			event.preventDefault();
			return this.#show(this.#columnItems(grid.columns.indexOf(Number(head.dataset.c))), event.clientX, event.clientY);
		}
		const row = target.closest('.r');
		if (!(row instanceof HTMLElement)) return;
		event.preventDefault();
		const position = Number(row.dataset.pos);
		const cell = target.closest('[data-c]');
		const col = cell instanceof HTMLElement ? grid.columns.indexOf(Number(cell.dataset.c)) : 0;
		if (!selection.has(position, col)) {
			selection.go(position, col, { reveal: false });
			if (!cell) selection.rows();
		}
		this.#show(cell ? this.#cellItems() : this.#rowItems(), event.clientX, event.clientY);
	}

	/** The menu of the active cell, by key. */
	atActive() {
		const box = this.app.selection.element?.getBoundingClientRect();
		if (box) this.#show(this.#cellItems(), box.left + 8, box.bottom);
	}

	/**
	 * @param {number} index
	 * @param {Element} button
	 */
	ofColumn(index, button) {
		const box = button.getBoundingClientRect();
		this.#show(this.#columnItems(index), box.left, box.bottom);
	}

	/** @returns {Item[]} */
	#cellItems() {
		const { app } = this;
		const { commands, selection, clipboard, review } = app;
		const edit = app.grid.settings.canEdit;
		const element = selection.element;
		/** @type {Item[]} */
		const items = [
			{ text: 'Edit', key: 'Enter', act: () => app.edit(), off: !edit },
			{ text: 'Cut', key: 'Ctrl+X', act: () => clipboard.cut(), off: !edit },
			{ text: 'Copy', key: 'Ctrl+C', act: () => clipboard.copy() },
			{ text: 'Paste', key: 'Ctrl+V', act: () => clipboard.pasteRead(), off: !edit },
			{ text: 'Clear', key: 'Del', act: () => commands.fill(''), off: !edit },
			{ text: 'Fill down', key: 'Ctrl+D', act: () => commands.fillFrom(false), off: !edit || selection.range.r0 === selection.range.r1 },
			{ text: 'Fill right', key: 'Ctrl+R', act: () => commands.fillFrom(true), off: !edit || selection.range.c0 === selection.range.c1 },
		];
		if (element?.hasAttribute('data-was')) {
			items.push(null, { text: `Back to ${element.dataset.was?.slice(0, 40)}`, act: () => app.restore(), off: !edit });
		}
		if (element?.classList.contains('is-conflict')) {
			items.push(null, { text: 'Keep mine', act: () => app.settle('mine') }, { text: 'Take theirs', act: () => app.settle('theirs') });
		}
		if (element?.hasAttribute('data-sug')) {
			items.push(null, { text: 'Accept suggestion', key: 'Alt+Enter', act: () => review.decide('accept') }, { text: 'Reject suggestion', key: 'Alt+⌫', act: () => review.decide('reject') });
		}
		if (selection.size > 1 && review.total) {
			items.push(null, { text: 'Accept suggestions in selection', act: () => review.decideSelection('accept') }, { text: 'Reject suggestions in selection', act: () => review.decideSelection('reject') });
		}
		return [...items, null, { text: 'Show only this value', act: () => app.tools.onlyThis() }, null, ...this.#rowItems()];
	}

	/** @returns {Item[]} */
	#rowItems() {
		const { app } = this;
		const { commands, selection, grid } = app;
		const edit = grid.settings.canEdit;
		const n = selection.positions().reduce((sum, [a, b]) => sum + b - a, 0);
		const which = n === 1 ? 'record' : `${n.toLocaleString('en')} records`;
		const deleted = selection.element?.closest('.is-deleted');
		return [
			{ text: 'Open record', key: 'Space', act: () => app.panel.openAt(selection.active.row) },
			{ text: 'Select record', key: 'Shift+Space', act: () => selection.rows() },
			{ text: `Duplicate ${which}`, act: () => commands.duplicate(), off: !edit || !grid.settings.creatable },
			{ text: 'New record', act: () => commands.add(), off: !edit || !grid.settings.creatable },
			deleted ? { text: `Bring back ${which}`, act: () => commands.undelete(), off: !edit } : { text: `Delete ${which}`, act: () => commands.remove(), off: !edit },
		];
	}

	/** @param {number} index @returns {Item[]} */
	#columnItems(index) {
		const { grid, tools, selection, review } = this.app;
		const column = grid.columns.shown[index];
		const sortable = column.type !== 'json';
		/** @type {Item[]} */
		const items = [
			{ text: 'Sort ascending', act: () => tools.setSort(column.slug), off: !sortable },
			{ text: 'Sort descending', act: () => tools.setSort(`-${column.slug}`), off: !sortable },
			{ text: 'Also sort by this', key: 'Shift+click', act: () => tools.sortBy(column.slug, true), off: !sortable },
			null,
			{ text: 'Filter by this…', act: () => tools.openFilter(column.slug) },
			{ text: 'Only edited here', act: () => tools.addFilter(`edited(${column.slug})`) },
			{ text: 'Only with suggestions here', act: () => tools.addFilter(`suggested(${column.slug})`) },
			{ text: 'Only empty', act: () => tools.addFilter(`empty(${column.slug})`) },
			null,
			{ text: 'Select column', key: 'Ctrl+Space', act: () => {
				selection.go(selection.active.row, index, { reveal: false });
				selection.columns();
			} },
			{ text: 'Find and replace here…', key: 'Ctrl+H', act: () => this.app.replace.open(column.number), off: !grid.settings.canEdit || !column.writable },
			{ text: 'Accept all suggestions here', act: () => review.decideColumn(column, 'accept'), off: !grid.settings.canDecide || !review.total },
			{ text: 'Reject all suggestions here', act: () => review.decideColumn(column, 'reject'), off: !grid.settings.canDecide || !review.total },
			null,
			{ text: 'Hide column', act: () => tools.showColumn(column.number, false), off: grid.columns.shown.length < 2 },
			{ text: 'Wider', act: () => grid.columns.resize(index, column.width + 60) },
			{ text: 'Narrower', act: () => grid.columns.resize(index, column.width - 60) },
		];
		return items;
	}

	/**
	 * @param {Item[]} items
	 * @param {number} x
	 * @param {number} y
	 */
	#show(items, x, y) {
		this.close();
		const box = document.createElement('div');
		box.className = 'menu';
		box.setAttribute('role', 'menu');
		for (const item of items) box.append(item ? this.#item(item) : document.createElement('hr'));
		document.body.append(box);
		box.style.left = `${Math.max(4, Math.min(x, window.innerWidth - box.offsetWidth - 4))}px`;
		box.style.top = `${Math.max(4, Math.min(y, window.innerHeight - box.offsetHeight - 4))}px`;
		box.addEventListener('keydown', (event) => this.#key(event));
		this.#box = box;
		this.#buttons()[0]?.focus();
	}

	/** @param {NonNullable<Item>} item */
	#item(item) {
		const button = document.createElement('button');
		button.type = 'button';
		button.setAttribute('role', 'menuitem');
		button.disabled = item.off ?? false;
		const text = document.createElement('span');
		text.textContent = item.text;
		button.append(text);
		if (item.key) {
			const key = document.createElement('kbd');
			key.textContent = mac ? item.key.replace('Ctrl', 'Cmd') : item.key;
			button.append(key);
		}
		button.addEventListener('click', () => {
			this.close();
			item.act();
		});
		return button;
	}

	#buttons() {
		return /** @type {HTMLButtonElement[]} */ ([...(this.#box?.querySelectorAll('button:enabled') ?? [])]);
	}

	/** @param {KeyboardEvent} event */
	#key(event) {
		const buttons = this.#buttons();
		const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
		const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
		if (to !== undefined) buttons[(to + buttons.length) % buttons.length]?.focus();
		else if (event.key === 'Escape' || event.key === 'Tab') this.close();
		else return;
		event.preventDefault();
		event.stopPropagation();
	}

	close() {
		if (!this.#box) return;
		this.#box.remove();
		this.#box = undefined;
		this.app.grid.el.focus({ preventScroll: true });
	}
}
