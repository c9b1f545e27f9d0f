// @ts-check
/**
 * Walking through suggestions and deciding them, one by one, by column, by group, or all.
 *
 * @module grid/review
 */
import { openDialog } from '../app.js';
import { toast } from '../toast.js';
import { address, getHTML, getJSON, Problem, setHTML, settled } from './api.js';
import { el } from './grid.js';

const DRAWN_MS = 3_000; // how long a cell that was gone to may take to be drawn
const BAR = 60; // px that the bar lies over the grid's lower edge

/** @typedef {'accept' | 'reject'} Decision */

export class Review {
	/** suggestions that are open in the table */
	total = 0;
	/** closed by the person, until there is more to decide or they ask for it */
	#closed = false;
	/** where the walk stands; null is not known @type {{index: number | null, total: number | null, row: number, column?: number, seen: boolean} | undefined} seen: its column is shown */
	#place;
	/** @type {Element | null} */
	#hovered = null;

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		this.grid = app.grid;
		this.actions = /** @type {HTMLElement} */ (el('#grid-actions'));
		app.selection.addEventListener('change', () => this.#moved());
		this.grid.addEventListener('rows', () => this.#attach(app.selection.element ?? null));
		this.grid.addEventListener('view', () => this.#viewed());
		this.grid.el.addEventListener('pointerleave', () => this.hover(null));
	}

	/** Another view has another count; that of the suggestions opens the bar again. */
	#viewed() {
		this.#place = undefined;
		if (this.grid.view.filter.includes('suggested(')) this.#closed = false;
		this.show(this.total);
	}

	close() {
		this.#closed = true;
		this.show(this.total);
		this.grid.el.focus({ preventScroll: true });
	}

	/** Shows the bar while suggestions exist. @param {number} total */
	show(total) {
		if (total < this.total) this.#place = undefined; // some are decided: the count of the walk is old
		if (total > this.total) this.#closed = false;
		if (total !== this.total) this.#countColumn();
		this.total = total;
		const hidden = total === 0 || this.#closed || !this.grid.settings.canDecide;
		el('#review')?.toggleAttribute('hidden', hidden);
		const covered = hidden ? 0 : BAR;
		if (this.grid.window.covered !== covered) {
			this.grid.window.covered = covered;
			this.grid.window.draw();
		}
		this.#words();
	}

	#words() {
		const words = el('#review-where');
		if (!words) return;
		const { index, total } = this.#place ?? { index: null, total: this.total };
		if (index !== null && total !== null) words.textContent = `${index.toLocaleString('en')} of ${total.toLocaleString('en')}`;
		else words.textContent = total === null ? 'more suggestions here' : `${total.toLocaleString('en')} ${total === 1 ? 'suggestion' : 'suggestions'}`;
	}

	#moved() {
		const { active, column, element } = this.app.selection;
		// Only another cell ends the walk: a row that is drawn anew has no suggestion for a moment.
		if (this.#place && (this.#place.row !== active.row || this.#place.column !== column?.number)) this.#place = undefined;
		this.#words();
		this.#attach(element ?? null);
		const name = el('#review-column');
		if (name && column) name.textContent = `Accept all in ${column.title}`;
		this.#countColumn();
	}

	#countColumn = settled(300, async () => {
		const badge = el('#review-column-count');
		const { column } = this.app.selection;
		if (!badge || !column || !this.total) return;
		try {
			badge.hidden = badge.hidden || this.#counted !== column.number; // another column's count is none
			this.#counted = column.number;
			const { count } = await getJSON(this.grid.at('suggestions/groups', { filter: this.grid.view.filter, find: this.grid.view.find, columns: column.number }));
			badge.textContent = count.toLocaleString('en');
			badge.hidden = count === 0;
			badge.closest('button')?.toggleAttribute('disabled', count === 0);
		} catch {
			badge.hidden = true;
		}
	});

	/** the column whose suggestions were counted last */
	#counted = 0;

	/** Accept and reject stand in the cell under the pointer, else in the active one. @param {Element | null} cell */
	hover(cell) {
		this.#hovered = cell;
		this.#attach(cell);
	}

	/** @param {Element | null} cell */
	#attach(cell) {
		const { selection } = this.app;
		const on = [this.#hovered, cell, selection.element].find((c) => c?.isConnected && c.hasAttribute('data-sug'));
		if (!on || !this.grid.settings.canDecide) {
			this.actions.hidden = true;
			return;
		}
		const host = on.matches('.r') ? on.querySelector('.n') : on;
		if (this.actions.parentElement !== host) host?.append(this.actions);
		this.actions.hidden = false;
		this.actions.dataset.suggestion = /** @type {HTMLElement} */ (on).dataset.sug;
	}

	/** Decides the suggestion in whose cell the buttons stand. @param {Decision} decision */
	async decideHere(decision) {
		const id = Number(this.actions.dataset.suggestion);
		if (id) await this.#send(decision, { ids: [id] });
		this.grid.el.focus({ preventScroll: true });
	}

	/** @type {Promise<unknown>} */
	#last = Promise.resolve();

	/** Keys may come faster than answers: each waits for what the one before it led to. @param {() => Promise<unknown>} act */
	#inTurn(act) {
		this.#last = this.#last.then(act).catch((error) => toast('error', error instanceof Error ? error.message : String(error)));
		return this.#last;
	}

	/** Goes to the next or previous suggestion. @param {1 | -1} dir */
	go(dir) {
		return this.#inTurn(() => this.#go(dir));
	}

	/** @param {1 | -1} dir */
	async #go(dir) {
		const { order } = this.grid;
		if (!order) return;
		this.#closed = false;
		this.show(this.total);
		const { active, column } = this.app.selection;
		await this.#to({ order: order.order, pos: active.row, col: column?.number, dir });
	}

	first() {
		return this.#inTurn(async () => {
			if (this.grid.order) await this.#to({ order: this.grid.order.order, pos: -1, dir: 1 });
		});
	}

	/** @param {Record<string, string | number | undefined>} from */
	async #to(from) {
		try {
			const at = await getJSON(this.grid.at('suggestions/next', from));
			const col = at.column ? this.grid.columns.indexOf(at.column) : 0;
			this.app.selection.go(at.position, Math.max(0, col));
			await this.#drawn(col >= 0);
			const { active, column } = this.app.selection;
			this.#place = { index: at.index, total: at.total, row: active.row, column: column?.number, seen: col >= 0 };
			this.#words();
		} catch (error) {
			if (error instanceof Problem && error.status === 404) return toast('info', this.total ? 'No suggestion is under this filter.' : 'No suggestion is open here.');
			toast('error', error instanceof Error ? error.message : String(error));
		}
	}

	/**
	 * Waits until the active cell is drawn, with its suggestion; its rows may have to be asked for, or be older than it.
	 *
	 * @param {boolean} seen the suggestion's column is shown
	 */
	#drawn(seen) {
		const drawn = () => this.app.selection.element && (!seen || this.#suggested);
		if (drawn()) return;
		return new Promise((resolve) => {
			const look = () => {
				if (!drawn() && performance.now() < end) return;
				this.grid.removeEventListener('rows', look);
				clearTimeout(timer);
				resolve(undefined);
			};
			const end = performance.now() + DRAWN_MS;
			const timer = setTimeout(look, DRAWN_MS);
			this.grid.addEventListener('rows', look);
		});
	}

	/** The suggestion of the active cell, else of its record; 0 is none. */
	get #suggested() {
		const { element } = this.app.selection;
		return Number(element?.dataset.sug ?? element?.closest('.r')?.getAttribute('data-sug') ?? 0);
	}

	/** Decides the active cell's suggestion and goes on to the next. @param {Decision} decision */
	decide(decision) {
		return this.#inTurn(() => this.#decide(decision));
	}

	/** @param {Decision} decision */
	async #decide(decision) {
		if (!this.grid.settings.canDecide) return this.app.commands.locked();
		if (this.#place) await this.#drawn(this.#place.seen); // its row may be on the way just now
		const id = this.#suggested;
		if (!id) return this.#go(1);
		await this.#send(decision, { ids: [id] });
		if (this.total) await this.#go(1);
	}

	/** @param {Decision} decision */
	decideSelection(decision) {
		const { selection } = this.app;
		return this.#send(decision, { order: this.grid.order?.order, ranges: selection.positions(), columns: selection.numbers() });
	}

	/** Everything that the view shows. */
	get #view() {
		const { filter, find } = this.grid.view;
		return filter || find ? { filter, find } : { all: true };
	}

	/** @param {import('./columns.js').Column} column @param {Decision} decision */
	decideColumn(column, decision) {
		return this.#send(decision, { ...this.#view, columns: [column.number] });
	}

	/** @param {Decision} decision */
	decideAll(decision) {
		return this.#send(decision, this.#view);
	}

	/** @param {string} group @param {Decision} decision */
	async decideGroup(group, decision) {
		await this.#send(decision, { ...this.#view, group });
		await this.groups();
	}

	/**
	 * @param {Decision} decision
	 * @param {object} body
	 */
	async #send(decision, body) {
		const words = decision === 'accept' ? 'Accept' : 'Reject';
		const answer = await this.app.commands.send(`suggestions/${decision}`, body, words);
		if (!answer) return;
		if (answer.cells > 1 || !answer.rows?.length) {
			this.grid.window.refresh();
			if (decision === 'accept') toast('ok', `Accepted ${answer.cells.toLocaleString('en')} ${answer.cells === 1 ? 'suggestion' : 'suggestions'}.`);
			else toast('ok', `Rejected ${answer.cells.toLocaleString('en')} ${answer.cells === 1 ? 'suggestion' : 'suggestions'}.`);
		}
		const refused = answer.refused.length + (answer.more_refused ?? 0);
		if (refused) toast('info', `${refused.toLocaleString('en')} could not be accepted: ${answer.refused[0].reason}`);
		await this.app.status.renew();
	}

	/** Shows equal changes together. */
	async groups() {
		const place = el('#groups-list');
		if (!place) return;
		openDialog('groups');
		try {
			setHTML(place, await getHTML(address(this.grid.at('suggestions/groups'), { filter: this.grid.view.filter, find: this.grid.view.find })));
		} catch (error) {
			place.textContent = error instanceof Error ? error.message : String(error);
		}
	}
}
