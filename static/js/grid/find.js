// @ts-check
/**
 * Quick find over all columns: the view shows the records that hold it, hits are marked, Enter goes from one to the next.
 *
 * @module grid/find
 */
import { toast } from '../toast.js';
import { getJSON, settled } from './api.js';
import { el } from './grid.js';

export class Find {
	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		this.grid = app.grid;
	}

	get #field() {
		const field = el('#find-box [name=find]');
		return field instanceof HTMLInputElement ? field : undefined;
	}

	/** @returns {boolean} false when the focus is there already */
	open() {
		const field = this.#field;
		if (!field || document.activeElement === field) return false;
		field.closest('#find-box')?.setAttribute('data-on', '');
		field.focus();
		field.select();
		return true;
	}

	end() {
		const field = this.#field;
		if (field) field.value = '';
		el('#find-box')?.removeAttribute('data-on');
		this.grid.el.focus({ preventScroll: true });
		if (this.grid.view.find) this.grid.setView({ find: '' });
	}

	typed = settled(220, () => {
		const find = this.#field?.value ?? '';
		if (find !== this.grid.view.find) this.grid.setView({ find });
	});

	/**
	 * Goes to the next or previous cell that holds what is looked for. Keys may come faster than answers: each goes on from
	 * where the one before it led to.
	 *
	 * @param {1 | -1} dir
	 */
	next(dir) {
		return (this.#last = this.#last.then(() => this.#next(dir)));
	}

	/** @type {Promise<unknown>} */
	#last = Promise.resolve();

	/** @param {1 | -1} dir */
	async #next(dir) {
		const find = this.#field?.value ?? '';
		if (find !== this.grid.view.find) await this.grid.setView({ find });
		await this.grid.taken();
		if (!find || !this.grid.order) return void this.open();
		const { active, column } = this.app.selection;
		const first = !this.#began;
		this.#began = true;
		const at = { order: this.grid.order.order, find, dir, pos: first ? 0 : active.row, col: first ? undefined : column?.number };
		try {
			const hit = await getJSON(this.grid.at('find', at));
			this.#began = hit.position >= 0; // after the last one Enter begins anew
			if (!this.#began) return toast('info', 'No more hits.');
			this.app.selection.go(hit.position, Math.max(0, this.grid.columns.indexOf(hit.column)));
		} catch (error) {
			this.#began = false;
			toast('info', error instanceof Error ? error.message : String(error));
		}
	}

	#began = false;

	#count() {
		const words = el('#find-count');
		if (!words) return;
		words.textContent = this.grid.view.find && this.grid.order ? `${this.grid.order.rows.toLocaleString('en')}` : '';
		words.title = 'Records that hold it';
	}

	/** The view is another: what was found is marked anew, and the first hit is the next one. */
	begin() {
		this.#began = false;
		this.drawn();
	}

	/** Marks what was found in what is drawn, by ranges: cells stay as they are. @param {HTMLElement[]} [rows] */
	#highlight(rows = this.grid.window.rows()) {
		if (!('highlights' in CSS)) return;
		const find = this.grid.view.find.toLowerCase();
		if (!find) return void CSS.highlights.delete('find');
		const ranges = [];
		for (const row of rows) {
			const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
			for (let node = walker.nextNode(); node; node = walker.nextNode()) {
				const text = (node.textContent ?? '').toLowerCase();
				if (node.parentElement?.matches('.num') && !text.includes(find) && text.replaceAll(',', '').includes(find)) {
					const range = new Range();
					range.selectNodeContents(node);
					ranges.push(range);
				}
				for (let i = text.indexOf(find); i >= 0 && !node.parentElement?.matches('.n'); i = text.indexOf(find, i + find.length)) {
					const range = new Range();
					range.setStart(node, i);
					range.setEnd(node, Math.min(i + find.length, text.length));
					ranges.push(range);
				}
			}
		}
		CSS.highlights.set('find', new Highlight(...ranges));
	}

	/** Draws the hits again after rows were drawn. */
	drawn() {
		this.#highlight();
		this.#count();
	}
}
