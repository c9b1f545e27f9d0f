// @ts-check
/**
 * Find and replace over the records that the view shows: a live preview, then suggestions.
 *
 * @module grid/replace
 */
import { openDialog } from '../app.js';
import { aborted, getHTML, setHTML, settled } from './api.js';
import { el } from './grid.js';

export class Replace {
	/** @type {AbortController | undefined} */
	#previewing;

	/** @param {import('./main.js').App} app */
	constructor(app) {
		this.app = app;
		this.grid = app.grid;
	}

	/** @param {number} [column] number: only in it */
	open(column) {
		if (!this.grid.settings.canEdit) return;
		const form = el('[data-form=replace]');
		const columns = form?.querySelector('[name=columns]');
		if (columns instanceof HTMLSelectElement && column !== undefined) columns.value = String(column);
		const what = form?.querySelector('[name=what]');
		if (what instanceof HTMLInputElement && !what.value && this.grid.view.find) what.value = this.grid.view.find;
		openDialog('replace');
		if (what instanceof HTMLInputElement) what.select();
		this.preview();
	}

	preview = settled(250, () => this.#previewNow());

	async #previewNow() {
		const form = el('[data-form=replace]');
		const place = el('#replace-preview');
		if (!(form instanceof HTMLFormElement) || !place) return;
		const values = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
		const submit = form.querySelector('[data-submit]');
		const words = form.querySelector('[data-error]');
		this.#previewing?.abort();
		if (words) words.textContent = '';
		if (!values.what && !values.whole) {
			place.replaceChildren();
			return void submit?.setAttribute('disabled', '');
		}
		this.#previewing = new AbortController();
		try {
			const html = await getHTML(this.grid.at('replace', { ...values, filter: this.grid.view.filter, find: this.grid.view.find }), this.#previewing.signal);
			setHTML(place, html);
			const n = Number(place.querySelector('[data-count-of]')?.getAttribute('data-count-of'));
			submit?.toggleAttribute('disabled', n === 0);
			if (submit) submit.textContent = n ? `Suggest ${n.toLocaleString('en')}` : 'Suggest';
		} catch (error) {
			if (aborted(error)) return;
			submit?.setAttribute('disabled', '');
			if (words) words.textContent = error instanceof Error ? error.message : String(error);
		}
	}

	/**
	 * @param {HTMLFormElement} form
	 * @param {Record<string, string>} values
	 */
	async run(form, values) {
		const submit = form.querySelector('[data-submit]');
		submit?.setAttribute('disabled', '');
		const body = { ...values, filter: this.grid.view.filter, find: this.grid.view.find };
		const { outbox } = this.grid;
		const job = () => outbox.job && form.closest('dialog')?.close(); // the status bar says how far it is
		outbox.addEventListener('change', job);
		const answer = await this.app.commands.send('replace', body, 'Find and replace');
		outbox.removeEventListener('change', job);
		if (!answer) return void submit?.removeAttribute('disabled');
		form.closest('dialog')?.close();
		this.grid.window.refresh();
		this.grid.el.focus({ preventScroll: true });
		await this.app.status.renew();
		if (this.grid.view.find && values.what.toLowerCase() === this.grid.view.find.toLowerCase()) await this.grid.setView({ find: '', filter: 'suggested()' });
		await this.app.review.first();
	}
}
