// @ts-check
/**
 * The bar over the grid: filter, sort, columns. The server renders the bar; the address carries the view.
 *
 * @module grid/tools
 */
import { toast } from '../toast.js';
import { aborted, getHTML, getJSON, setHTML, settled } from './api.js';
import { el } from './grid.js';

const KINDS = /** @type {Record<string, string>} */ ({
	number: 'number', checkbox: 'check', date: 'date', datetime: 'date', localtime: 'date', choice: 'choice text', choices: 'list', references: 'list', images: 'list', json: '',
});

export class Tools {
	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		this.grid = app.grid;
		this.grid.addEventListener('view', () => this.#viewChanged());
		this.grid.addEventListener('refused', (event) => this.#refused(/** @type {CustomEvent} */ (event).detail));
		document.addEventListener('click', (event) => this.#click(event));
		document.addEventListener('submit', (event) => this.#submit(event));
		document.addEventListener('change', (event) => this.#change(event));
		document.addEventListener('input', (event) => this.#input(event));
		document.addEventListener('toggle', (event) => this.#closed(event), true);
		window.addEventListener('popstate', () => this.#popped());
		this.#wire();
	}

	/** What has to be done each time the bar is new. */
	#wire() {
		this.#ops();
		for (const box of document.querySelectorAll('#grid-tools [data-column]')) {
			if (box instanceof HTMLInputElement) box.checked = !this.grid.columns.hidden.has(Number(box.dataset.column));
		}
		this.#countColumns();
		for (const cell of this.grid.el.querySelectorAll('.g-head .hc')) {
			const { slug } = this.grid.columns.all.find((c) => c.number === Number(/** @type {HTMLElement} */ (cell).dataset.c)) ?? {};
			const keys = this.grid.view.sort.split(',');
			cell.setAttribute('aria-sort', keys.includes(slug ?? '') ? 'ascending' : keys.includes(`-${slug}`) ? 'descending' : 'none');
		}
		this.app.status?.undoButtons();
		this.app.find.drawn();
	}

	#countColumns() {
		const { columns } = this.grid;
		const words = el('#columns-shown');
		const n = columns.all.length;
		if (words) words.textContent = columns.shown.length === n ? `${n} columns` : `${columns.shown.length} of ${n}`;
	}

	async #viewChanged() {
		const here = new URL(location.href);
		for (const [name, value] of Object.entries(this.grid.view)) value ? here.searchParams.set(name, value) : here.searchParams.delete(name);
		if (here.href !== location.href) history.pushState(null, '', here);
		this.app.find.begin();
		try {
			const bar = el('#grid-tools');
			const html = await getHTML(this.grid.at('tools', this.grid.params));
			if (!bar) return;
			const finding = document.activeElement instanceof HTMLInputElement && document.activeElement.name === 'find'; // since then, too
			if (finding && bar.contains(document.activeElement)) return this.#replaceAround(bar, html);
			setHTML(bar, html);
			bar.replaceWith(.../** @type {any} */ (bar.children));
			this.#wire();
		} catch (error) {
			if (!aborted(error)) toast('error', error instanceof Error ? error.message : String(error));
		}
	}

	/** Renews the bar but for the field in which somebody types. @param {Element} bar @param {string} html */
	#replaceAround(bar, html) {
		const holder = document.createElement('div');
		setHTML(holder, html);
		const fresh = holder.firstElementChild;
		const box = bar.querySelector('#find-box');
		if (!fresh || !box) return;
		while (bar.firstChild && bar.firstChild !== box) bar.firstChild.remove();
		while (bar.lastChild && bar.lastChild !== box) bar.lastChild.remove();
		let before = true;
		for (const child of [...fresh.childNodes]) {
			if (child instanceof HTMLElement && child.id === 'find-box') before = false;
			else if (before) bar.insertBefore(child, box);
			else bar.append(child);
		}
		box.toggleAttribute('data-on', this.grid.view.find !== '');
		this.#wire();
	}

	/** Back and forward. */
	#popped() {
		const query = new URL(location.href).searchParams;
		const view = { filter: query.get('filter') ?? '', sort: query.get('sort') ?? '', find: query.get('find') ?? '' };
		const same = Object.entries(view).every(([k, v]) => this.grid.view[/** @type {'filter'} */ (k)] === v);
		if (!same) this.grid.setView(view);
		this.app.panel.follow(query.get('record'));
	}

	/** @param {string} reason */
	#refused(reason) {
		const menu = el('#filter-menu');
		if (menu instanceof HTMLDetailsElement) menu.open = true;
		const words = el('[data-form=expression] [data-error]');
		if (words) words.textContent = reason;
		el('#filter-expression')?.setAttribute('aria-invalid', 'true');
	}

	/** @param {MouseEvent} event */
	#click(event) {
		const target = event.target instanceof Element ? event.target.closest('a[data-filter], a[data-sort]') : null;
		if (!(target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
		event.preventDefault();
		if (target.dataset.sort !== undefined) this.setSort(target.dataset.sort);
		else this.setFilter(target.dataset.filter ?? '');
		target.closest('details')?.removeAttribute('open');
	}

	/** @param {SubmitEvent} event */
	async #submit(event) {
		const form = /** @type {HTMLFormElement} */ (event.target);
		if (form.id === 'find-box') {
			event.preventDefault();
			return void this.app.find.next(1);
		}
		const kind = form.dataset.form;
		if (kind === 'condition' || kind === 'expression' || kind === 'replace') event.preventDefault();
		const values = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
		if (kind === 'condition') await this.#addCondition(form, values);
		if (kind === 'expression') {
			const taken = await this.setFilter(values.filter.trim());
			if (taken) form.closest('details')?.removeAttribute('open');
		}
		if (kind === 'replace') await this.app.replace.run(form, values);
	}

	/**
	 * @param {HTMLFormElement} form
	 * @param {Record<string, string>} values
	 */
	async #addCondition(form, values) {
		const words = form.querySelector('[data-error]');
		try {
			const { filter } = await getJSON(this.grid.at('filter', values));
			if (await this.setFilter(filter)) form.closest('details')?.removeAttribute('open');
		} catch (error) {
			if (words) words.textContent = error instanceof Error ? error.message : String(error);
		}
	}

	/** @param {Event} event */
	#change(event) {
		const target = event.target;
		if (target instanceof HTMLInputElement && target.dataset.column) this.showColumn(Number(target.dataset.column), target.checked);
		if (target instanceof HTMLSelectElement && target.closest('[data-form=condition]') && target.name !== 'value') this.#ops(target.name === 'column');
		if (target instanceof Element && target.closest('[data-form=replace]')) this.app.replace.preview();
	}

	/** @param {Event} event */
	#input(event) {
		const target = event.target;
		if (!(target instanceof Element)) return;
		if (target.closest('#find-box')) this.app.find.typed();
		if (target.closest('[data-form=replace]')) this.app.replace.preview();
		if (target.closest('[data-form=condition]') && el('#facets')?.childElementCount) this.#typedFacet();
	}

	/**
	 * Leaves only the operators that the chosen column has, and offers its values.
	 *
	 * @param {boolean} [fresh] the column is another: its first operator is the likeliest
	 */
	#ops(fresh = false) {
		const form = el('[data-form=condition]');
		const column = form?.querySelector('[name=column]');
		const op = form?.querySelector('[name=op]');
		if (!(column instanceof HTMLSelectElement) || !(op instanceof HTMLSelectElement)) return;
		const chosen = this.grid.columns.all.find((c) => c.slug === column.value);
		const kinds = (KINDS[chosen?.type ?? ''] ?? 'text').split(' ');
		for (const option of op.options) {
			const fits = (option.dataset.for ?? '') === '' || (option.dataset.for ?? '').split(' ').some((k) => kinds.includes(k));
			option.hidden = option.disabled = !fits;
		}
		const closed = Boolean(chosen?.choices?.length && !chosen.open);
		if (fresh || op.selectedOptions[0]?.disabled) op.selectedIndex = [...op.options].findIndex((o) => (closed ? o.value === 'is' : !o.disabled));
		const bare = ['empty', 'filled', 'true', 'false'].includes(op.value);
		const listed = closed && ['is', 'isnot'].includes(op.value);
		for (const field of /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */ (form?.querySelectorAll('[name=value]'))) {
			const wanted = !bare && listed === field instanceof HTMLSelectElement;
			field.hidden = field.disabled = !wanted;
			if (!wanted || !(field instanceof HTMLSelectElement)) continue;
			const was = field.value;
			field.replaceChildren(...(chosen?.choices ?? []).map((c) => new Option(c, c, false, c === was)));
		}
		el('#filter-values')?.replaceChildren(...(chosen?.choices ?? []).map((c) => Object.assign(document.createElement('option'), { value: c })));
		if (this.#facetsOf !== column.value) el('#facets')?.replaceChildren();
	}

	/** Opens the builder with a condition of the filter, to be replaced by what is made of it. @param {HTMLElement} chip */
	editChip({ dataset }) {
		const menu = el('#filter-menu');
		const form = el('[data-form=condition]');
		if (!(menu instanceof HTMLDetailsElement) || !(form instanceof HTMLFormElement)) return;
		menu.open = true;
		if (!dataset.op) return void el('#filter-expression')?.focus();
		/** @param {string} name */
		const field = (name) => /** @type {HTMLSelectElement} */ (form.querySelector(`[name=${name}]:enabled`));
		field('column').value = dataset.column ?? '';
		this.#ops(true);
		const op = field('op');
		op.selectedIndex = [...op.options].findIndex((o) => o.value === dataset.op && !o.disabled);
		this.#ops();
		if (field('value')) field('value').value = dataset.value ?? '';
		field('filter').value = dataset.rest ?? '';
		const button = form.querySelector('[type=submit]');
		if (button) button.textContent = 'Change';
		setTimeout(() => (field('value') ?? op).focus());
	}

	/** The builder adds again once it was closed. @param {Event} event */
	#closed({ target }) {
		if (!(target instanceof HTMLDetailsElement) || target.id !== 'filter-menu' || target.open) return;
		const filter = target.querySelector('[data-form=condition] [name=filter]');
		if (filter instanceof HTMLInputElement) filter.value = this.grid.view.filter;
		const button = target.querySelector('[data-form=condition] [type=submit]');
		if (button) button.textContent = 'Add';
	}

	#facetsOf = '';
	#typedFacet = settled(200, () => this.facets());

	/** Shows the distinct values of the column chosen in the filter builder, with counts. */
	async facets() {
		const form = el('[data-form=condition]');
		const place = el('#facets');
		if (!(form instanceof HTMLFormElement) || !place) return;
		const data = new FormData(form);
		this.#facetsOf = String(data.get('column'));
		try {
			setHTML(place, await getHTML(this.grid.at('facets', { ...this.grid.params, column: this.#facetsOf, search: String(data.get('value') ?? '') })));
		} catch (error) {
			place.textContent = error instanceof Error ? error.message : String(error);
		}
	}

	/** @param {string} filter @returns {Promise<boolean>} */
	setFilter(filter) {
		return this.grid.setView({ filter });
	}

	/** @param {string} condition */
	addFilter(condition) {
		const { filter } = this.grid.view;
		return this.setFilter(filter ? `${/\|\||\?/.test(filter) ? `(${filter})` : filter} && ${condition}` : condition);
	}

	/** @param {string} slug */
	openFilter(slug) {
		const menu = el('#filter-menu');
		const column = el('[data-form=condition] [name=column]');
		if (!(menu instanceof HTMLDetailsElement) || !(column instanceof HTMLSelectElement)) return;
		column.value = slug;
		this.#ops();
		menu.open = true;
		setTimeout(() => /** @type {HTMLElement | null} */ (el('[data-form=condition] [name=op]'))?.focus());
	}

	/** Shows only the records that hold the active cell's value. */
	async onlyThis() {
		const { selection } = this.app;
		const record = this.grid.idAt(selection.active.row);
		const { column } = selection;
		if (!column || record === undefined) return;
		try {
			const cell = await getJSON(this.grid.at('cell', { record, column: column.number }));
			const op = cell.value === null ? 'empty' : 'is';
			const { filter } = await getJSON(this.grid.at('filter', { filter: this.grid.view.filter, column: column.slug, op, value: cell.value ?? '' }));
			await this.setFilter(filter);
		} catch (error) {
			toast('error', error instanceof Error ? error.message : String(error));
		}
	}

	/** @param {string} sort */
	setSort(sort) {
		return this.grid.setView({ sort });
	}

	/**
	 * Sorts by a column: up, down, not. With add the others stay.
	 *
	 * @param {string} slug
	 * @param {boolean} add
	 */
	sortBy(slug, add) {
		const keys = this.grid.view.sort.split(',').filter(Boolean);
		const next = keys.includes(slug) ? `-${slug}` : keys.includes(`-${slug}`) ? '' : slug;
		if (!add) return this.setSort(next);
		const at = keys.findIndex((k) => k === slug || k === `-${slug}`);
		if (at < 0) keys.push(next);
		else if (next) keys[at] = next;
		else keys.splice(at, 1);
		return this.setSort(keys.join(','));
	}

	/**
	 * @param {number} number
	 * @param {boolean} visible
	 */
	showColumn(number, visible) {
		this.grid.columns.show(number, visible);
		this.#wire();
		this.grid.window.refresh();
	}

	/** Sets the export links to the view that is shown. */
	exportLinks() {
		for (const link of document.querySelectorAll('a[data-export]')) {
			if (link instanceof HTMLAnchorElement) link.href = this.grid.at('export', { format: link.dataset.export, ...this.grid.params });
		}
	}
}
