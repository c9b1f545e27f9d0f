// @ts-check
/**
 * What a person can do to the records. Every command shows at once what it does, sends it through the outbox, and draws
 * what the server made of it.
 *
 * @module grid/commands
 */
import { openDialog } from '../app.js';
import { toast } from '../toast.js';
import { getJSON, Problem } from './api.js';
import { el } from './grid.js';

/** @typedef {import('./grid.js').Answer} Answer */

/** Patterns of values that need not wait for the server's look; others keep the editor open until it has answered. */
const LOOKS_RIGHT = /** @type {Record<string, RegExp>} */ ({
	number: /^\s*[-+]?\d+(\.\d+)?\s*$/,
	checkbox: /^\s*(true|false)?\s*$/i,
	date: /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/,
	url: /^[a-z][a-z0-9+.-]*:[^\s]+$/i,
	email: /^[^\s@]+@[^\s@]+$/,
});
const MOST_PATCHED = 500; // rows, as of one window on the server
const STRICT = new Set(['datetime', 'localtime', 'json', 'choices', 'images']);

export class Commands {
	/**
	 * @param {import('./grid.js').Grid} grid
	 * @param {import('./selection.js').Selection} selection
	 * @param {import('./overlay.js').Overlay} overlay
	 */
	constructor(grid, selection, overlay) {
		this.grid = grid;
		this.selection = selection;
		this.overlay = overlay;
	}

	/**
	 * Says why nothing can be changed here, and whether that is so.
	 *
	 * @param {import('./columns.js').Column} [column]
	 */
	locked(column) {
		if (!this.grid.settings.canEdit) toast('info', 'You can look at this table, and not change it.');
		else if (column && !column.writable) toast('info', column.whyNot || `${column.title} is read-only.`);
		else return false;
		return true;
	}

	/**
	 * Sends a write, shows it until it is answered, and draws the answer. The promise gives undefined when it failed.
	 *
	 * @param {string} path under the table's address, or beginning with /
	 * @param {object | URLSearchParams} body
	 * @param {string} words
	 * @param {{record: number, column: number, text: string}[]} [cells] to be shown at once
	 * @param {(answer: Answer) => void} [then]
	 * @returns {Promise<Answer | undefined>}
	 */
	async send(path, body, words, cells = [], then) {
		const write = this.overlay.put(cells);
		try {
			const answer = /** @type {Answer} */ (await this.grid.outbox.send(path.startsWith('/') ? path : this.grid.at(path), body, words));
			this.overlay.end(write, answer.refused ?? []);
			await this.#draw(answer, cells.map((cell) => cell.record));
			then?.(answer);
			return answer;
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			this.overlay.fail(write, reason);
			if (!cells.length) toast('error', reason);
			if (error instanceof Problem && error.status === 409) this.grid.rowsFailed(error);
			return undefined;
		} finally {
			this.grid.dispatchEvent(new Event('changed'));
		}
	}

	/**
	 * @param {Answer} answer
	 * @param {number[]} shown records that showed the write until now: those that it left as they were are drawn anew too
	 */
	async #draw(answer, shown) {
		if (answer.table && answer.table !== this.grid.settings.table) return;
		if (answer.created?.length) this.grid.append(answer.created);
		const rows = answer.rows ?? [];
		if (rows.length <= MOST_PATCHED && (rows.length || !answer.cells)) await this.grid.window.patch([...rows, ...shown]);
		else this.grid.window.refresh();
	}

	/** @param {Answer | undefined} answer @param {string} [of] */
	#refusals(answer, of = 'cells') {
		if (!answer?.refused.length) return;
		const n = answer.refused.length;
		toast('error', `${n === 1 ? `One of the ${of} was` : `${n} ${of} were`} left as ${n === 1 ? 'it was' : 'they were'}: ${answer.refused[0].reason}`);
	}

	/**
	 * Sets a cell to what was typed. Gives the reason of a refusal; "" at once for a value that looks right, whose refusal
	 * is then shown in the cell.
	 *
	 * @param {number} record
	 * @param {import('./columns.js').Column} column
	 * @param {string} text
	 * @returns {Promise<string>}
	 */
	async set(record, column, text) {
		if (this.locked(column)) return column.whyNot || 'This cannot be changed.';
		const cells = [{ record, column: column.number, text }];
		const body = { cells: [{ record, column: column.number, input: text }], label: `Edit of ${column.title}` };
		if (this.#looksRight(column, text)) {
			this.send('edits', body, body.label, cells);
			return '';
		}
		const answer = await this.send('edits', body, body.label);
		if (!answer) return 'This could not be saved.';
		return answer.refused[0]?.reason ?? '';
	}

	/**
	 * @param {import('./columns.js').Column} column
	 * @param {string} text
	 */
	#looksRight(column, text) {
		if (text === '') return true;
		if (STRICT.has(column.type)) return false;
		if (column.type === 'choice' && !column.open) return column.choices?.includes(text) ?? true;
		return LOOKS_RIGHT[column.type]?.test(text) ?? true;
	}

	/** The drawn cells of the selection, for showing at once what a bulk command does. @param {string} text */
	#drawn(text) {
		const out = [];
		for (const row of this.grid.window.rows()) {
			const position = Number(row.dataset.pos);
			for (const r of this.selection.ranges) {
				if (position < r.r0 || position > r.r1) continue;
				for (let col = r.c0; col <= r.c1; col++) {
					const column = this.grid.columns.shown[col];
					if (column?.writable) out.push({ record: Number(row.dataset.id), column: column.number, text });
				}
			}
		}
		return out;
	}

	/** The ranges of the selection, each with its positions and writable columns. */
	#blocks() {
		return this.selection.ranges.map((r) => ({
			ranges: /** @type {[number, number][]} */ ([[r.r0, r.r1 + 1]]),
			columns: this.grid.columns.shown.slice(r.c0, r.c1 + 1).filter((c) => c.writable).map((c) => c.number),
		}));
	}

	/**
	 * Sets all selected cells to one text; "" clears them.
	 *
	 * @param {string} text
	 */
	async fill(text) {
		if (this.locked()) return;
		const words = text === '' ? 'Clear' : 'Fill';
		const blocks = this.#blocks().filter((b) => b.columns.length);
		if (!blocks.length) return void this.locked(this.selection.column);
		const { size } = this.selection;
		const one = this.#sameColumns(blocks);
		const cells = this.#drawn(text);
		if (size === 1) {
			const record = this.grid.idAt(this.selection.active.row);
			if (record !== undefined) {
				const column = blocks[0].columns[0];
				return void this.#refusals(await this.send('edits', { cells: [{ record, column, input: text }], label: words }, words, cells));
			}
		}
		const bodies = one ? [{ ranges: this.selection.positions(), columns: one }] : blocks;
		for (const [i, b] of bodies.entries()) {
			const body = { ...this.grid.chosen(b.ranges), columns: b.columns, input: text, label: words };
			this.send('fill', body, words, i === 0 ? cells : []).then((answer) => this.#refusals(answer));
		}
	}

	/** The columns of all blocks when they are the same, so that one statement does. @param {{columns: number[]}[]} blocks */
	#sameColumns(blocks) {
		const first = blocks[0].columns.join();
		return blocks.every((b) => b.columns.join() === first) ? blocks[0].columns : undefined;
	}

	/** Repeats the first row of the selection down, or its first column to the right. @param {boolean} right */
	async fillFrom(right) {
		const { r0, r1, c0, c1 } = this.selection.range;
		if (this.locked() || (right ? c0 === c1 : r0 === r1)) return;
		const source = right ? { r0, r1, c0, c1: c0 } : { r0, r1: r0, c0, c1 };
		const target = right ? { r0, r1, c0: c0 + 1, c1 } : { r0: r0 + 1, r1, c0, c1 };
		await this.spread(source, target);
	}

	/**
	 * Repeats a block of cells over another.
	 *
	 * @param {import('./selection.js').Range} source
	 * @param {import('./selection.js').Range} target
	 */
	async spread(source, target) {
		const number = (/** @type {number} */ i) => this.grid.columns.shown[i].number;
		const all = (/** @type {number} */ a, /** @type {number} */ b) => Array.from({ length: b - a + 1 }, (_, i) => a + i);
		const wide = source.c1 - source.c0 + 1;
		// each target column with the source column that it repeats; read-only ones are left out
		const pairs = all(target.c0, target.c1).map((c, i) => [c, source.c0 + (i % wide)]).filter(([c]) => this.grid.columns.shown[c].writable);
		if (!pairs.length) return void this.locked(this.grid.columns.shown[target.c0]);
		const body = {
			...this.grid.chosen([[target.r0, target.r1 + 1]]), columns: pairs.map(([c]) => number(c)), label: 'Fill',
			source: { rows: [source.r0, source.r1 + 1], columns: pairs.map(([, from]) => number(from)) },
		};
		this.#refusals(await this.send('spread', body, 'Fill'));
	}

	/** Ticks or unticks the active cell. */
	async toggle() {
		const { active, column, element } = this.selection;
		const record = this.grid.idAt(active.row);
		if (!column || record === undefined || this.locked(column)) return;
		await this.set(record, column, element?.classList.contains('is-on') ? 'false' : 'true');
	}

	/** Makes a record at the end and goes there. */
	async add() {
		const { settings } = this.grid;
		if (this.#adding || this.locked()) return;
		if (!settings.creatable) return toast('info', settings.whyNoNew || 'This table takes no new records.');
		this.#adding = true;
		await this.send('records', {}, 'New record', [], () => {
			const first = this.grid.columns.shown.findIndex((c) => c.writable);
			this.selection.go(this.grid.total - 1, Math.max(0, first));
			this.grid.el.focus({ preventScroll: true }); // what is typed next goes into the record, not to the button
		});
		this.#adding = false;
	}

	#adding = false;

	/** Copies the selected records. */
	async duplicate() {
		if (this.locked()) return;
		const ids = await this.#records(1000);
		if (!ids.length) return;
		const answer = await this.send('records', { duplicate: ids }, 'Duplicate', [], () => this.selection.go(this.grid.total - 1, this.selection.active.col));
		const n = answer?.created?.length ?? 0;
		if (n) toast('ok', `Duplicated ${records(n)}. The ${n === 1 ? 'copy stands' : 'copies stand'} at the end until you sort or filter again.`);
	}

	/** The ids of the selected records, up to a number. @param {number} most */
	async #records(most) {
		const positions = this.selection.positions().flatMap(([a, b]) => Array.from({ length: Math.min(most + 1, b - a) }, (_, i) => a + i));
		if (positions.length > most) {
			toast('error', `At most ${most.toLocaleString('en')} records can be taken at once here.`);
			return [];
		}
		const ids = await Promise.all(positions.map((p) => this.grid.recordAt(p)));
		return /** @type {number[]} */ (ids.filter((id) => id !== undefined));
	}

	/** Deletes the selected records. */
	async remove() {
		const { settings } = this.grid;
		if (this.locked()) return;
		if (!settings.deletable && !this.selection.element?.closest('.is-created')) return toast('info', settings.whyNoDel || 'Records of this table cannot be deleted.');
		const answer = await this.send('delete', this.grid.chosen(this.selection.positions()), 'Delete');
		if (answer?.cells) toast('ok', `Deleted ${records(answer.cells)}. ${answer.cells === 1 ? 'It leaves' : 'They leave'} the service when you publish.`);
		this.#refusals(answer, 'records');
	}

	/** Brings deleted records back. */
	async undelete() {
		const ids = await this.#records(1000);
		if (ids.length) this.#refusals(await this.send('undelete', { records: ids }, 'Bring back'), 'records');
	}

	/** @param {'undo' | 'redo'} which */
	async back(which) {
		if (this.locked()) return;
		const answer = await this.send(`/snapshots/${this.grid.settings.snapshot}/${which}`, {}, which === 'undo' ? 'Undo' : 'Redo');
		if (!answer) return;
		const done = which === 'undo' ? 'Undone' : 'Redone';
		const what = answer.label?.replace(/^(Undo|Redo): /, '');
		const left = answer.left?.length ? `. ${answer.left.length} were left: ${answer.left[0].reason}` : '';
		toast(left ? 'info' : 'ok', `${done}${what ? `: ${what}` : ''}${left}`);
		await this.#showChanged(answer);
	}

	/** Goes to the first cell that a batch changed, when nothing of it is seen. @param {Answer} answer */
	async #showChanged(answer) {
		const { window, columns } = this.grid;
		const [record] = answer.rows ?? [];
		if (!record || (answer.table && answer.table !== this.grid.settings.table)) return;
		const { from, to } = window.seen;
		const seen = window.rows().some((row) => answer.rows.includes(Number(row.dataset.id)) && Number(row.dataset.pos) >= from && Number(row.dataset.pos) < to);
		if (seen && answer.rows.length > 1) return;
		const { column } = await getJSON(this.grid.at(`records/${record}/changed`, { batch: answer.batch })).catch(() => ({ column: 0 }));
		const col = columns.indexOf(column);
		if (seen && (col < 0 || columns.inView(col, this.grid.el.scrollLeft, this.grid.el.clientWidth))) return;
		const position = await this.grid.positionOf(record).catch(() => -1);
		if (position >= 0) this.selection.go(position, col < 0 ? this.selection.active.col : col);
	}

	/**
	 * Sets a block of cells to texts, from the selection's top-left cell on. One text fills the selection.
	 *
	 * @param {string[][]} block
	 */
	async paste(block) {
		if (this.locked() || !block.length) return;
		const wide = Math.max(...block.map((line) => line.length));
		if (block.length === 1 && wide === 1) return this.fill(block[0][0]);
		const { range } = this.selection;
		block = repeated(block, range);
		const columns = this.grid.columns.shown.slice(range.c0, range.c0 + Math.max(...block.map((line) => line.length)));
		const past = range.r0 + block.length - this.grid.total;
		const create = past > 0 ? await this.#askCreate(past) : 'cut';
		if (create === 'cancel') return;
		const writable = columns.map((c) => c.writable);
		const cells = block.map((line) => columns.map((_, i) => line[i] ?? '').filter((_, i) => writable[i]));
		const body = {
			order: this.grid.order?.order ?? '', tail: this.grid.tail, at: range.r0, create: create === 'create',
			columns: columns.filter((c) => c.writable).map((c) => c.number), cells,
		};
		if (!body.columns.length) return void this.locked(columns[0]);
		this.selection.extendTo(range.r0, range.c0, range.r0 + block.length - 1, range.c0 + columns.length - 1);
		const answer = await this.send('paste', body, 'Paste', this.#pasted(range.r0, body.columns, cells));
		if (answer && !answer.refused.length) toast('ok', pastedWords(answer));
		this.#refusals(answer);
	}

	/**
	 * The drawn cells of a paste, with their texts.
	 *
	 * @param {number} from
	 * @param {number[]} columns
	 * @param {string[][]} cells
	 */
	#pasted(from, columns, cells) {
		return this.grid.window.rows().flatMap((row) => {
			const line = cells[Number(row.dataset.pos) - from];
			return line ? columns.map((column, i) => ({ record: Number(row.dataset.id), column, text: line[i] })) : [];
		});
	}

	/**
	 * @param {number} n
	 * @returns {Promise<string>} create, cut or cancel
	 */
	#askCreate(n) {
		const dialog = el('#more-rows');
		if (!this.grid.settings.creatable || !(dialog instanceof HTMLDialogElement)) {
			toast('info', `${records(n)} did not fit: ${this.grid.settings.whyNoNew || 'this table takes no new ones'}.`);
			return Promise.resolve('cut');
		}
		const words = dialog.querySelector('[data-words]');
		if (words) words.textContent = `What you paste has ${records(n)} more than there are below this cell.`;
		dialog.returnValue = 'cancel';
		openDialog('more-rows');
		/** @type {HTMLElement | null} */ (dialog.querySelector('button[value=create]'))?.focus();
		return new Promise((resolve) => dialog.addEventListener('close', () => {
			this.grid.el.focus({ preventScroll: true });
			resolve(dialog.returnValue || 'cancel');
		}, { once: true }));
	}
}

/**
 * Repeats a block over a selection that is a multiple of it, as spreadsheets do.
 *
 * @param {string[][]} block
 * @param {import('./selection.js').Range} range
 */
function repeated(block, range) {
	const high = range.r1 - range.r0 + 1;
	const wide = range.c1 - range.c0 + 1;
	const width = Math.max(...block.map((line) => line.length));
	const down = high % block.length === 0 ? high / block.length : 1;
	const right = wide % width === 0 ? wide / width : 1;
	if (down * right === 1 || high * wide > 200_000) return block;
	const padded = block.map((line) => [...line, ...Array(width - line.length).fill('')]);
	return Array.from({ length: block.length * down }, (_, i) => Array(right).fill(padded[i % block.length]).flat());
}

/** @param {Answer} answer of a paste */
function pastedWords(answer) {
	const made = answer.created?.length ? `, in ${records(answer.created.length)} made for ${answer.created.length === 1 ? 'it' : 'them'}` : '';
	if (!answer.cells) return 'Pasted. Every cell held that already.';
	return `Pasted. ${answer.cells === 1 ? '1 cell was' : `${answer.cells.toLocaleString('en')} cells were`} changed${made}.`;
}

/** @param {number} n */
export function records(n) {
	return n === 1 ? '1 record' : `${n.toLocaleString('en')} records`;
}
