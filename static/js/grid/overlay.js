// @ts-check
/**
 * What was written and is not acknowledged yet, drawn over the rows, and what was refused, with its reason.
 *
 * @module grid/overlay
 */

/** @typedef {{text: string, reason: string, write: number}} Local text as typed; reason "" while it is on its way */

export class Overlay {
	/** @type {Map<string, Local>} */
	#local = new Map();
	#writes = 0;

	/** @param {import('./grid.js').Grid} grid */
	constructor(grid) {
		this.grid = grid;
		grid.addEventListener('rows', (event) => {
			for (const row of /** @type {CustomEvent<HTMLElement[]>} */ (event).detail) this.#drawRow(row);
		});
	}

	/**
	 * Shows texts in cells until their write is answered. Gives the write's name here.
	 *
	 * @param {{record: number, column: number, text: string}[]} cells column: number
	 */
	put(cells) {
		const write = ++this.#writes;
		for (const { record, column, text } of cells) {
			this.#local.set(`${record}:${column}`, { text, reason: '', write });
			this.#drawCell(record, column);
		}
		return write;
	}

	/**
	 * Ends a write: what it showed is the server's now, but for what was refused.
	 *
	 * @param {number} write
	 * @param {{record?: number, column?: number, reason: string}[]} refused
	 */
	end(write, refused) {
		for (const [key, local] of this.#local) {
			if (local.write !== write) continue;
			const no = refused.find((r) => `${r.record}:${r.column}` === key);
			if (!no) {
				this.#local.delete(key);
				continue;
			}
			local.reason = no.reason;
			this.#drawCell(Number(no.record), Number(no.column));
		}
	}

	/**
	 * Ends a write that failed as a whole.
	 *
	 * @param {number} write
	 * @param {string} reason
	 */
	fail(write, reason) {
		for (const [key, local] of this.#local) {
			if (local.write !== write) continue;
			local.reason = reason;
			const [record, column] = key.split(':').map(Number);
			this.#drawCell(record, column);
		}
	}

	/**
	 * @param {number | undefined} record
	 * @param {number} column number
	 * @returns {Local | undefined}
	 */
	get(record, column) {
		return this.#local.get(`${record}:${column}`);
	}

	/**
	 * Forgets what was refused in a cell.
	 *
	 * @param {number} record
	 * @param {number} column
	 * @returns {boolean} whether there was something
	 */
	dismiss(record, column) {
		const key = `${record}:${column}`;
		if (!this.#local.get(key)?.reason) return false;
		this.#local.delete(key);
		this.grid.window.patch([record]);
		return true;
	}

	/** @param {HTMLElement} row */
	#drawRow(row) {
		if (this.#local.size === 0) return;
		const record = Number(row.dataset.id);
		for (const key of this.#local.keys()) {
			const [id, column] = key.split(':').map(Number);
			if (id === record) this.#draw(row.querySelector(`[data-c="${column}"]`), /** @type {Local} */ (this.#local.get(key)), column);
		}
	}

	/**
	 * @param {number} record
	 * @param {number} column
	 */
	#drawCell(record, column) {
		const local = this.#local.get(`${record}:${column}`);
		if (!local) return;
		for (const row of this.grid.window.rows()) {
			if (Number(row.dataset.id) === record) this.#draw(row.querySelector(`[data-c="${column}"]`), local, column);
		}
	}

	/**
	 * @param {HTMLElement | null} cell
	 * @param {Local} local
	 * @param {number} number of the column
	 */
	#draw(cell, local, number) {
		if (!cell) return;
		const column = this.grid.columns.all.find((c) => c.number === number);
		cell.classList.remove('is-null', 'is-blank', 'is-suggested', 'is-refused');
		cell.classList.add(local.reason ? 'is-refused' : 'is-pending');
		if (local.reason) cell.title = local.reason;
		if (column?.type === 'checkbox' && !local.reason) {
			cell.classList.toggle('is-on', /^(true|t|yes|y|1|on|x)$/i.test(local.text));
			return;
		}
		cell.classList.toggle('is-null', local.text === '');
		cell.textContent = local.text.length > 300 ? `${local.text.slice(0, 300)}…` : local.text;
	}
}
