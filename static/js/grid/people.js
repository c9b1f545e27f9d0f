// @ts-check
/**
 * Other people in the grid: a frame around the cell that each is at, with their name while it is new.
 *
 * @module grid/people
 */
import { people } from '../people.js';

const NAMED_MS = 4_000;

export class People {
	/** @type {Map<string, {el: HTMLElement, at: string, timer: number}>} by tab */
	#frames = new Map();

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		people.addEventListener('change', () => this.#draw());
		people.bar.addEventListener('click', (event) => this.#follow(event));
		app.selection.addEventListener('change', () => this.#tell());
		app.grid.addEventListener('rows', () => this.#draw());
		app.grid.addEventListener('order', () => this.#draw());
		app.grid.columns.addEventListener('change', () => this.#draw());
		app.grid.el.addEventListener('scroll', () => this.#frames.size && this.#draw(), { passive: true });
	}

	#tell() {
		const { grid, selection } = this.app;
		people.at({ table: grid.settings.table, record: grid.idAt(selection.active.row), column: selection.column?.slug });
	}

	#draw() {
		const { grid } = this.app;
		const here = people.others.filter((place) => place.table === grid.settings.table && place.row && place.column);
		const gone = new Set(this.#frames.keys());
		for (const place of here) {
			gone.delete(place.client);
			this.#place(place);
		}
		for (const client of gone) {
			this.#frames.get(client)?.el.remove();
			this.#frames.delete(client);
		}
	}

	/** @param {import('../people.js').Place} place */
	#place(place) {
		const { grid } = this.app;
		const frame = this.#frames.get(place.client) ?? this.#make(place);
		const at = `${place.row}:${place.column}`;
		if (frame.at !== at) {
			frame.at = at;
			frame.el.classList.add('is-named');
			clearTimeout(frame.timer);
			frame.timer = window.setTimeout(() => frame.el.classList.remove('is-named'), NAMED_MS);
		}
		const column = grid.columns.shown.findIndex((c) => c.slug === place.column);
		const position = Number(grid.window.rows().find((row) => row.dataset.id === String(place.row))?.dataset.pos ?? -1);
		frame.el.hidden = column < 0 || position < 0;
		if (frame.el.hidden) return;
		const box = grid.window.boxOf(position, column);
		frame.el.hidden = box.left < box.edge;
		frame.el.style.transform = `translate(${box.left}px, ${box.top}px)`;
		frame.el.style.width = `${box.right - box.left}px`;
	}

	/** @param {import('../people.js').Place} place */
	#make(place) {
		const el = document.createElement('div');
		el.className = `person who-${Number(place.colour) || 0}`;
		el.dataset.name = place.name || 'Somebody';
		el.setAttribute('aria-hidden', 'true'); // who is here is told in the bar
		this.app.grid.window.body.append(el);
		const frame = { el, at: '', timer: 0 };
		this.#frames.set(place.client, frame);
		return frame;
	}

	/** A face in the bar goes to its person in place, when that is in this table's order. @param {MouseEvent} event */
	async #follow(event) {
		const face = event.target instanceof Element ? event.target.closest('[data-person]') : null;
		if (!(face instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
		const { grid, selection } = this.app;
		const place = people.others.find((other) => other.person === face.dataset.person);
		if (!place?.row || place.table !== grid.settings.table) return;
		event.preventDefault();
		const at = await grid.positionOf(place.row).catch(() => -1);
		if (at >= 0) selection.go(at, Math.max(0, grid.columns.shown.findIndex((c) => c.slug === place.column)));
		grid.el.focus({ preventScroll: true });
	}
}
