// @ts-check
/**
 * The editor of a cell: one field over the cell, of the kind that the column's type wants. It stays open, with the
 * server's reason under it, while the value does not fit.
 *
 * @module grid/editor
 */
import { getJSON, settled } from './api.js';
import { ROW } from './window.js';

/** @typedef {{row: number, col: number, record: number, column: import('./columns.js').Column}} Place */
/** @typedef {'down' | 'up' | 'right' | 'left' | 'stay'} Move where the active cell goes afterwards */

const LONG = new Set(['longtext', 'markdown', 'json']);
const PLAIN = new Set(['text', 'number', 'url', 'email', 'date']);
const LIST = 230; // px that the list of values takes at most
const SEARCH_MS = 120; // between what is typed and asking for records that are called so
const ANSWER_MS = 3_000; // that the answer may take; then what was typed counts as it is
const HINTS = /** @type {Record<string, string>} */ ({ date: '2026-11-24', datetime: '2026-11-24T10:30:00Z', localtime: '2026-11-24 10:30', choices: 'one, two', url: 'https://', images: 'https://…, https://…' });

export class Editor {
	/** @type {Place | undefined} */
	place;
	/** @type {HTMLElement | undefined} */
	#box;
	/** @type {HTMLTextAreaElement | HTMLInputElement | undefined} */
	#field;
	#original = '';
	#touched = false;
	/** what was typed when the records in the list were asked for; undefined while there are none @type {string | undefined} */
	#listed;

	/**
	 * @param {import('./grid.js').Grid} grid
	 * @param {import('./overlay.js').Overlay} overlay
	 * @param {(place: Place, text: string, fill: boolean) => Promise<string>} commit gives the reason of a refusal, or "" at
	 *   once when the value looks right
	 * @param {(move: Move) => void} moved
	 */
	constructor(grid, overlay, commit, moved) {
		this.grid = grid;
		this.overlay = overlay;
		this.commit = commit;
		this.moved = moved;
		grid.addEventListener('order', () => this.place && this.close());
	}

	get isOpen() {
		return this.place !== undefined;
	}

	/**
	 * Opens on a cell. With replace the field begins empty, for what is being typed.
	 *
	 * @param {number} row
	 * @param {number} col
	 * @param {{replace?: boolean, text?: string, reason?: string}} [how]
	 */
	open(row, col, how = {}) {
		const column = this.grid.columns.shown[col];
		this.grid.window.reveal(row, col);
		const cell = this.grid.window.cell(row, col);
		const record = this.grid.idAt(row);
		if (!cell || record === undefined || !column) return;
		this.close();
		this.place = { row, col, record, column };
		this.#touched = how.replace ?? false;
		this.#listed = undefined;
		this.#build(column, cell);
		this.#position();
		const field = /** @type {HTMLTextAreaElement} */ (this.#field);
		field.value = how.text ?? (how.replace ? '' : this.#known(cell, column, record) ?? '');
		this.#original = how.replace ? '\u0000' : field.value;
		field.focus({ preventScroll: true });
		if (!how.replace) field.setSelectionRange(field.value.length, field.value.length);
		if (how.reason) this.say(how.reason);
		if (!how.replace && how.text === undefined && this.#known(cell, column, record) === undefined) this.#fetch(this.place);
		this.#grow();
		this.#choices();
	}

	/**
	 * The cell's value where what is drawn is the value.
	 *
	 * @param {HTMLElement} cell
	 * @param {import('./columns.js').Column} column
	 * @param {number} record
	 */
	#known(cell, column, record) {
		const local = this.overlay.get(record, column.number);
		if (local) return local.text;
		if (!PLAIN.has(column.type) || cell.hasAttribute('data-cut') || cell.hasAttribute('data-sug')) return undefined;
		const text = cell.textContent ?? '';
		return column.type === 'number' ? text.replaceAll(',', '') : text; // its groups are for the eye only
	}

	/** @param {Place} place */
	async #fetch(place) {
		try {
			const cell = await getJSON(this.grid.at('cell', { record: place.record, column: place.column.number }));
			if (this.place !== place || this.#touched || !this.#field) return;
			this.#field.value = cell.value ?? '';
			this.#original = this.#field.value;
			this.#field.setSelectionRange(this.#field.value.length, this.#field.value.length);
			this.#grow();
			this.#choices();
		} catch (error) {
			if (this.place === place) this.say(error instanceof Error ? error.message : String(error));
		}
	}

	/**
	 * @param {import('./columns.js').Column} column
	 * @param {HTMLElement} cell
	 */
	#build(column, cell) {
		const box = document.createElement('div');
		box.className = `editor${LONG.has(column.type) ? ' is-long' : ''}${column.type === 'number' ? ' num' : ''}${column.type === 'json' ? ' mono' : ''}`;
		const field = document.createElement('textarea');
		field.rows = 1;
		field.spellcheck = LONG.has(column.type) || column.type === 'text';
		field.setAttribute('aria-label', column.title);
		field.setAttribute('aria-describedby', 'editor-reason');
		field.placeholder = HINTS[column.type] ?? '';
		if (column.type === 'number') field.inputMode = 'decimal';
		const reason = document.createElement('p');
		reason.className = 'editor-reason';
		reason.id = 'editor-reason';
		reason.setAttribute('role', 'alert');
		reason.hidden = true;
		box.append(field, reason);
		field.addEventListener('input', () => {
			this.#touched = true;
			this.say('');
			this.#grow();
			this.#choices();
		});
		field.addEventListener('keydown', (event) => this.#key(event));
		field.addEventListener('blur', () => setTimeout(() => this.#left(field)));
		this.#field = field;
		this.#box = box;
		cell.closest('.blk')?.parentElement?.append(box);
		if (column.type === 'date' || column.type === 'datetime' || column.type === 'localtime') this.#calendar(box, field, column.type);
		if (column.choices?.length || column.type === 'checkbox' || this.#refers(column)) this.#list(box);
	}

	/** A person who clicks elsewhere means what was typed. @param {HTMLElement} field */
	#left(field) {
		if (this.#field !== field || this.#box?.contains(document.activeElement) || !document.hasFocus()) return;
		this.leave('stay');
	}

	/** Takes the marked value, else what was typed, and ends. @param {Move} move */
	leave(move) {
		const marked = this.#touched ? this.#marked : undefined;
		if (marked !== undefined) this.#choose(marked, move);
		if (this.place) this.finish(move, false); // of several choices the one that was marked is in now
	}

	/** Puts the box over its cell. */
	#position() {
		const { place } = this;
		if (!place || !this.#box) return;
		const { columns, window } = this.grid;
		const { left, top } = window.boxOf(place.row, place.col);
		this.#box.style.transform = `translate(${left}px, ${top}px)`;
		// Near the lower edge the list of values and the reason stand over the cell.
		const below = this.grid.el.clientHeight - window.head.offsetHeight - (place.row * ROW - window.top) - ROW - window.covered;
		this.#box.classList.toggle('is-above', below < LIST);
		this.#box.style.minWidth = `${Math.max(columns.widthOf(place.col) + 1, LONG.has(place.column.type) ? 320 : 0)}px`;
	}

	#grow() {
		const field = this.#field;
		if (!field || !this.#box) return;
		const room = this.grid.el.clientWidth - 24;
		field.style.width = 'auto';
		field.style.height = 'auto';
		const longest = Math.max(...field.value.split('\n').map((line) => line.length));
		this.#box.style.width = `${Math.min(room, 520, Math.max(parseInt(this.#box.style.minWidth, 10), longest * 7.5 + 24))}px`;
		field.style.width = '100%';
		field.style.height = `${Math.min(280, Math.max(this.#box.classList.contains('is-long') ? 128 : ROW - 1, field.scrollHeight))}px`;
	}

	/**
	 * @param {HTMLElement} box
	 * @param {HTMLTextAreaElement} field
	 * @param {string} type
	 */
	#calendar(box, field, type) {
		const picker = document.createElement('input');
		picker.type = type === 'date' ? 'date' : 'datetime-local';
		picker.className = 'editor-picker';
		picker.tabIndex = -1;
		picker.setAttribute('aria-label', 'Calendar');
		picker.addEventListener('focus', () => (picker.value = field.value.slice(0, type === 'date' ? 10 : 16)));
		picker.addEventListener('change', () => {
			field.value = type === 'datetime' ? new Date(picker.value).toISOString().replace('.000', '') : picker.value;
			this.#touched = true;
			field.focus();
		});
		box.append(picker);
		box.classList.add('has-picker');
	}

	/** @param {HTMLElement} box */
	#list(box) {
		const list = document.createElement('ul');
		list.className = 'editor-list';
		list.id = 'editor-list';
		list.setAttribute('role', 'listbox');
		list.setAttribute('aria-label', 'Values');
		list.addEventListener('pointerdown', (event) => {
			event.preventDefault();
			const item = event.target instanceof Element ? event.target.closest('li') : null;
			if (item) this.#choose(item.dataset.value ?? '', 'stay');
		});
		this.#field?.setAttribute('role', 'combobox');
		this.#field?.setAttribute('aria-controls', 'editor-list');
		this.#field?.setAttribute('aria-expanded', 'true');
		box.append(list);
	}

	/** Whether a column holds one reference to a table of this snapshot. @param {import('./columns.js').Column} column */
	#refers(column) {
		return column.type === 'reference' && Boolean(column.target);
	}

	/** The values that begin with, or hold, what is typed. */
	#choices() {
		const list = this.#box?.querySelector('.editor-list');
		if (!list || !this.place || !this.#field) return;
		if (this.#refers(this.place.column)) return this.#references();
		const all = this.place.column.type === 'checkbox' ? ['true', 'false'] : this.place.column.choices ?? [];
		const typed = this.#touched ? this.#part().toLowerCase() : '';
		const found = all.filter((c) => c.toLowerCase().includes(typed)).sort((a, b) => Number(b.toLowerCase().startsWith(typed)) - Number(a.toLowerCase().startsWith(typed)));
		this.#offer(list, found.slice(0, 100).map((value) => ({ id: value, title: value })));
		const whole = this.place.column.type === 'choices' && all.includes(this.#part()); // Enter ends: it is in already
		if (typed && !this.place.column.open && !whole) this.#mark(typed);
	}

	/** Marks the value that Enter and Tab take: the one that is exactly what is typed, else the first. @param {string} typed */
	#mark(typed) {
		const items = /** @type {HTMLElement[]} */ ([...(this.#box?.querySelectorAll('.editor-list li') ?? [])]);
		const same = (/** @type {string | null | undefined} */ text) => text?.toLowerCase() === typed.toLowerCase();
		const exact = items.findIndex((item) => same(item.dataset.value) || same(item.dataset.title));
		if (items.length) this.#walk(Math.max(0, exact) + 1);
	}

	/**
	 * Fills the list of values.
	 *
	 * @param {Element} list
	 * @param {{id: string, title: string, picture?: string}[]} values
	 */
	#offer(list, values) {
		list.replaceChildren(
			...values.map(({ id, title, picture }, i) => {
				const item = document.createElement('li');
				item.id = `editor-choice-${i}`;
				item.setAttribute('role', 'option');
				item.dataset.value = id;
				item.dataset.title = item.textContent = title;
				if (title !== id) item.append(Object.assign(document.createElement('small'), { textContent: id.replace(/^~/, '') }));
				if (picture?.startsWith('https://')) item.prepend(Object.assign(new Image(), { className: 'thumb', alt: '', loading: 'lazy', referrerPolicy: 'no-referrer', src: picture }));
				item.setAttribute('aria-selected', String(this.#chosen().includes(id)));
				return item;
			}),
		);
		list.toggleAttribute('hidden', values.length === 0);
	}

	/** Asks for the records that are called as is typed. */
	#references = settled(SEARCH_MS, async () => {
		const { place } = this;
		const field = this.#field;
		if (!place || !field) return;
		const typed = this.#touched ? field.value : '';
		try {
			const items = await this.#search(place, typed);
			const list = this.#box?.querySelector('.editor-list');
			if (this.#field !== field || !list || (this.#touched && field.value !== typed)) return;
			this.#offer(list, items);
			this.#listed = typed;
			if (typed) this.#mark(typed);
		} catch (error) {
			if (this.#field === field) this.say(error instanceof Error ? error.message : String(error));
		}
	});

	/**
	 * @param {Place} place
	 * @param {string} typed
	 * @returns {Promise<{id: string, title: string, picture?: string}[]>}
	 */
	async #search(place, typed) {
		return (await getJSON(this.grid.at('references', { column: place.column.number, search: typed }), AbortSignal.timeout(ANSWER_MS))).items;
	}

	/**
	 * The record that is meant by what was typed, when its hits had no time to be shown; the text itself when there is none.
	 *
	 * @param {Place} place
	 * @param {string} typed
	 */
	async #meant(place, typed) {
		const items = await this.#search(place, typed).catch(() => []);
		const same = (/** @type {string} */ text) => text.toLowerCase() === typed.toLowerCase();
		return (items.find((item) => same(item.id) || same(item.title)) ?? items[0])?.id ?? typed;
	}

	/** The values in the field of a multiple choice, or the one. */
	#chosen() {
		return (this.#field?.value ?? '').split(this.place?.column.type === 'choices' ? /\s*,\s*/ : '\u0000');
	}

	/** What is being typed: after the last comma of a multiple choice. */
	#part() {
		return this.#chosen().pop() ?? '';
	}

	/**
	 * Takes a value of the list; of several choices it is put in or taken out.
	 *
	 * @param {string} value
	 * @param {Move} move
	 */
	#choose(value, move) {
		if (!this.place || !this.#field) return;
		this.#touched = true;
		if (this.place.column.type !== 'choices') {
			this.#field.value = value;
			this.#listed = value;
			this.finish(move, false);
			return;
		}
		const chosen = this.#chosen().filter((c) => this.place?.column.choices?.includes(c));
		const next = chosen.includes(value) ? chosen.filter((c) => c !== value) : [...chosen, value];
		this.#field.value = next.join(', ');
		this.#choices();
	}

	/** The value that is marked in the list, while the list is that of what is typed. @returns {string | undefined} */
	get #marked() {
		if (!this.place || !this.#field || (this.#refers(this.place.column) && this.#touched && this.#listed !== this.#field.value)) return undefined;
		const here = this.#box?.querySelector('.editor-list:not([hidden]) .is-here');
		return here instanceof HTMLElement ? here.dataset.value : undefined;
	}

	/** @param {number} by */
	#walk(by) {
		const items = [...(this.#box?.querySelectorAll('.editor-list li') ?? [])];
		if (!items.length) return false;
		const at = items.findIndex((i) => i.classList.contains('is-here'));
		items[at]?.classList.remove('is-here');
		const next = items[(at + by + items.length) % items.length];
		next.classList.add('is-here');
		next.scrollIntoView({ block: 'nearest' });
		this.#field?.setAttribute('aria-activedescendant', next.id);
		return true;
	}

	/** @param {KeyboardEvent} event */
	#key(event) {
		event.stopPropagation();
		if (event.isComposing) return;
		const { key, shiftKey, altKey } = event;
		const control = event.ctrlKey || event.metaKey;
		const done = () => event.preventDefault();
		if (key === 'Escape') {
			done();
			this.close();
		} else if (key === 'Enter' && altKey) {
			done();
			this.#field?.setRangeText('\n', this.#field.selectionStart ?? 0, this.#field.selectionEnd ?? 0, 'end');
			this.#touched = true;
			this.#grow();
		} else if (key === 'Enter' && (!LONG.has(this.place?.column.type ?? '') || control || !shiftKey)) {
			done();
			if (this.#marked !== undefined && !control) return this.#choose(this.#marked, shiftKey ? 'up' : 'down');
			this.finish(control ? 'stay' : shiftKey ? 'up' : 'down', control);
		} else if (key === 'Tab') {
			done();
			this.leave(shiftKey ? 'left' : 'right');
		} else if ((key === 'ArrowDown' || key === 'ArrowUp') && this.#box?.querySelector('.editor-list')) {
			if (this.#walk(key === 'ArrowDown' ? 1 : -1)) done();
		}
	}

	/**
	 * Says under the field why its value does not fit.
	 *
	 * @param {string} reason
	 */
	say(reason) {
		const words = this.#box?.querySelector('.editor-reason');
		if (!(words instanceof HTMLElement)) return;
		words.textContent = reason;
		words.hidden = reason === '';
		this.#field?.setAttribute('aria-invalid', String(reason !== ''));
		this.#box?.classList.toggle('is-invalid', reason !== '');
	}

	/**
	 * Takes what was typed.
	 *
	 * @param {Move} move
	 * @param {boolean} fill all selected cells are set
	 */
	async finish(move, fill) {
		const { place } = this;
		const field = this.#field;
		if (!place || !field || field.readOnly) return;
		const text = field.value;
		if (text === this.#original && !fill) {
			this.close();
			this.moved(move);
			return;
		}
		if (text && this.#touched && this.#refers(place.column) && this.#listed !== text && !fill) return this.#finishUnseen(place, text, move);
		field.readOnly = true;
		const reason = await this.commit(place, text, fill);
		if (this.#field !== field) return; // it was closed meanwhile
		field.readOnly = false;
		if (reason) {
			this.say(reason);
			field.focus({ preventScroll: true });
			return;
		}
		this.close();
		this.moved(move);
	}

	/**
	 * Takes what was typed into a reference faster than its hits came: one goes on at once, and the cell gets the first hit.
	 *
	 * @param {Place} place
	 * @param {string} text
	 * @param {Move} move
	 */
	async #finishUnseen(place, text, move) {
		const write = this.overlay.put([{ record: place.record, column: place.column.number, text }]);
		this.close();
		this.moved(move);
		const meant = await this.#meant(place, text);
		this.overlay.end(write, []);
		await this.commit(place, meant, false);
	}

	/** Closes without taking anything. */
	close() {
		const box = this.#box;
		const had = box?.contains(document.activeElement);
		this.place = undefined;
		this.#box = undefined;
		this.#field = undefined;
		box?.remove();
		if (had) this.grid.el.focus({ preventScroll: true });
	}

	/** Whether the value in the field is as it was. */
	get unchanged() {
		return this.#field?.value === this.#original;
	}
}
