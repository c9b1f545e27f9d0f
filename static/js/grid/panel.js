// @ts-check
/**
 * The record panel: server-rendered, its forms sent through the outbox, its place in the address.
 *
 * @module grid/panel
 */
import { showTimes } from '../times.js';
import { toast } from '../toast.js';
import { aborted, getJSON, problemOf, setHTML, settled } from './api.js';
import { el } from './grid.js';

const FOLLOW_MS = 120; // between the active cell's last step and showing its record

export class Panel {
	/** @type {number | undefined} */
	record;
	#position = -1;
	/** @type {AbortController | undefined} */
	#loading;

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		this.grid = app.grid;
		this.el = /** @type {HTMLElement} */ (el('#record-panel'));
		const head = this.el.querySelector('[data-record]');
		if (head instanceof HTMLElement) this.record = Number(head.dataset.record);
		this.el.addEventListener('submit', (event) => this.#submit(event));
		this.el.addEventListener('change', (event) => this.#changed(event));
		this.el.addEventListener('keydown', (event) => this.#key(event));
		this.el.addEventListener('focusin', (event) => this.#typed(event));
		this.el.addEventListener('input', (event) => this.#typed(event));
		app.selection.addEventListener('change', () => this.#moved());
	}

	/** From now on the panel goes along with the active cell. */
	attend() {
		this.#row = this.app.selection.active.row;
	}

	/** the row of the active cell when last looked at; -1 before the page is ready */
	#row = -1;

	/** An open panel shows the record of the active cell. */
	#moved() {
		const { row } = this.app.selection.active;
		if (this.#row < 0 || row === this.#row) return;
		this.#row = row;
		if (this.isOpen) this.#follow();
	}

	#follow = settled(FOLLOW_MS, async () => {
		const { row } = this.app.selection.active;
		if (!this.isOpen || this.grid.idAt(row) === this.record || this.has(document.activeElement)) return;
		if (this.el.querySelector('[data-error]:not(:empty)')) return; // what was refused there is not thrown away
		const record = await this.grid.recordAt(row).catch(() => undefined);
		if (record === undefined || row !== this.app.selection.active.row) return;
		this.#position = row;
		await this.open(record, false);
	});

	/** Offers the records that a reference may point to, by what is typed. @param {Event} event */
	#typed(event) {
		const field = event.target;
		if (field instanceof HTMLInputElement && field.dataset.references) this.#offer(field);
	}

	/** @param {HTMLInputElement} field */
	async #offer(field) {
		const typed = field.value === field.defaultValue ? '' : field.value;
		try {
			const { items } = await getJSON(this.grid.at('references', { column: field.dataset.references, search: typed }));
			field.list?.replaceChildren(...items.map((/** @type {{id: string, title: string}} */ item) => Object.assign(document.createElement('option'), { value: item.id, label: item.title })));
		} catch {
			// the field takes an id without a list
		}
	}

	get isOpen() {
		return this.el.dataset.open === 'true';
	}

	/** @param {Element | null} node */
	has(node) {
		return this.el.contains(node);
	}

	/** @param {number} position */
	async openAt(position) {
		const record = await this.grid.recordAt(position);
		if (record === undefined) return;
		this.#position = position;
		await this.open(record, true);
	}

	/**
	 * @param {number} record
	 * @param {boolean} push make a step of the history
	 */
	async open(record, push) {
		this.record = record;
		if (!(await this.#load(record))) return;
		const was = this.isOpen;
		this.el.dataset.open = 'true';
		this.#address(String(record), push && !was);
		if (!was) /** @type {HTMLElement | null} */ (this.el.querySelector('.record-title'))?.focus();
	}

	/** @param {number} record */
	async #load(record) {
		this.#loading?.abort();
		this.#loading = new AbortController();
		try {
			const response = await fetch(this.grid.at(`records/${record}`, this.grid.params), {
				headers: { 'HX-Request': 'true', 'HX-Request-Type': 'partial', Accept: 'text/html' }, signal: this.#loading.signal,
			});
			if (!response.ok) throw await problemOf(response);
			const html = await response.text();
			const had = this.has(document.activeElement);
			const focused = had ? document.activeElement?.id ?? '' : '';
			const top = this.el.querySelector('.record-body')?.scrollTop ?? 0;
			const same = this.el.querySelector('[data-record]')?.getAttribute('data-record') === String(record);
			setHTML(this.el, html);
			showTimes(this.el);
			if (same) {
				const body = this.el.querySelector('.record-body');
				if (body) body.scrollTop = top;
			}
			if (had) /** @type {HTMLElement | null} */ ((same && focused && document.getElementById(focused)) || this.el.querySelector('.record-title'))?.focus();
			return true;
		} catch (error) {
			if (!aborted(error)) toast('error', error instanceof Error ? error.message : String(error));
			return false;
		}
	}

	/** @param {string | null} record @param {boolean} push */
	#address(record, push) {
		const here = new URL(location.href);
		here.pathname = this.grid.settings.base;
		record ? here.searchParams.set('record', record) : here.searchParams.delete('record');
		push ? history.pushState(null, '', here) : history.replaceState(null, '', here);
	}

	/** Follows the address after Back. @param {string | null} record */
	follow(record) {
		if (!record && this.isOpen) this.#hide();
		else if (record && Number(record) !== this.record) this.open(Number(record), false);
		else if (record) this.el.dataset.open = 'true';
	}

	#hide() {
		this.el.dataset.open = 'false';
		this.record = undefined;
		this.grid.el.focus({ preventScroll: true });
	}

	close() {
		this.#address(null, false);
		this.#hide();
	}

	/** The next or previous record of the view. @param {1 | -1} by */
	async step(by) {
		if (this.record === undefined) return;
		if (this.#position < 0 || this.grid.idAt(this.#position) !== this.record) this.#position = await this.grid.positionOf(this.record);
		const next = this.#position + by;
		if (this.#position < 0 || next < 0 || next >= this.grid.total) return;
		this.app.selection.go(next, this.app.selection.active.col);
		this.#position = next;
		const record = await this.grid.recordAt(next);
		if (record !== undefined) await this.open(record, false);
	}

	/**
	 * Shows the record again when one of these changed, unless somebody types in it.
	 *
	 * @param {number[] | undefined} records undefined is all
	 * @param {boolean} [saved] what was typed has been taken
	 */
	renew(records, saved = false) {
		if (!this.isOpen || this.record === undefined || (records && !records.includes(this.record))) return;
		if (saved) return void this.#load(this.record);
		const { activeElement } = document;
		if (this.has(activeElement) && (activeElement instanceof HTMLInputElement || activeElement instanceof HTMLTextAreaElement) && activeElement.value !== activeElement.defaultValue) return;
		this.#load(this.record);
	}

	/** A field that was changed is saved when it is left. @param {Event} event */
	#changed(event) {
		const field = event.target;
		if (field instanceof HTMLInputElement && field.list) {
			const named = [...field.list.options].find((option) => option.label.toLowerCase() === field.value.trim().toLowerCase());
			if (named) field.value = named.value;
		}
		if (field instanceof HTMLElement && field.matches('[name=value]')) field.closest('form')?.requestSubmit();
	}

	/** @param {KeyboardEvent} event */
	#key(event) {
		const field = event.target;
		if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && field instanceof HTMLTextAreaElement) field.form?.requestSubmit();
		if (event.key === 'Escape' && (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) && field.value !== field.defaultValue) {
			field.value = field.defaultValue;
			event.stopPropagation();
		}
	}

	/** @param {SubmitEvent} event */
	async #submit(event) {
		const form = /** @type {HTMLFormElement} */ (event.target);
		if (form.dataset.form !== 'record') return;
		event.preventDefault();
		const data = new FormData(form, event.submitter);
		const body = new URLSearchParams(/** @type {any} */ ([...data.entries()]));
		const act = String(data.get('do'));
		const record = this.record;
		const answer = await this.app.commands.send(`records/${record}`, body, act);
		const words = form.querySelector('[data-error]');
		if (!answer) return;
		if (answer.refused?.length) {
			if (words?.isConnected) words.textContent = answer.refused[0].reason;
			else toast('error', answer.refused[0].reason);
			return;
		}
		if (record !== undefined) await this.grid.window.patch([record]);
		if (act === 'duplicate' && answer.created?.length) return void this.open(answer.created[0], false);
		this.renew(undefined, true);
		await this.app.status.renew();
	}
}
