// @ts-check
/**
 * Copy, cut and paste. A copy takes whole values from the server, as text and as an HTML table.
 *
 * @module grid/clipboard
 */
import { toast } from '../toast.js';
import { getJSON } from './api.js';
import { parseTable, parseTSV } from './tsv.js';

const MOST = 200_000; // cells of a copy, as on the server

export class Clipboard {
	/**
	 * @param {import('./grid.js').Grid} grid
	 * @param {import('./selection.js').Selection} selection
	 * @param {import('./commands.js').Commands} commands
	 */
	constructor(grid, selection, commands) {
		this.grid = grid;
		this.selection = selection;
		this.commands = commands;
		document.addEventListener('copy', (event) => this.#on(event, () => this.copy()));
		document.addEventListener('cut', (event) => this.#on(event, () => this.cut()));
		document.addEventListener('paste', (event) => this.#on(event, () => this.#paste(event)));
	}

	/**
	 * @param {ClipboardEvent} event
	 * @param {() => void} act
	 */
	#on(event, act) {
		if (document.activeElement !== this.grid.el || this.#own) return;
		event.preventDefault();
		act();
	}

	#own = false; // a copy event that we made ourselves

	/** @returns {Promise<boolean>} whether it is on the clipboard */
	async copy() {
		if (this.selection.ranges.length > 1 && new Set(this.selection.ranges.map((r) => `${r.c0}-${r.c1}`)).size > 1) {
			toast('info', 'Ranges of different columns cannot be copied together.');
			return false;
		}
		if (this.selection.size > MOST) {
			toast('info', `A copy takes at most ${MOST.toLocaleString('en')} cells. Export the table instead.`);
			return false;
		}
		try {
			await this.grid.outbox.settled();
			const ranges = this.selection.positions().map(([a, b]) => `${a}-${b}`).join(',');
			const wanted = getJSON(this.grid.at('copy', {
				order: this.grid.order?.order, ranges, tail: this.grid.tail.join(','), cols: this.selection.numbers().join(','),
			}));
			await this.#write(wanted);
			this.grid.dispatchEvent(new CustomEvent('said', { detail: 'Copied' }));
			this.#mark();
			return true;
		} catch (error) {
			toast('error', error instanceof Error ? error.message : String(error));
			return false;
		}
	}

	/** Shows for a moment what was copied. */
	#mark() {
		this.grid.el.classList.add('is-copied');
		setTimeout(() => this.grid.el.classList.remove('is-copied'), 400);
	}

	/**
	 * Writes what is still on its way, so that the browser sees the key press behind it; where there is no such way (no
	 * secure context), by an old copy command once it is here.
	 *
	 * @param {Promise<{tsv: string, html: string}>} wanted
	 */
	async #write(wanted) {
		const part = (/** @type {'tsv' | 'html'} */ name, /** @type {string} */ type) => wanted.then((all) => new Blob([all[name]], { type }));
		if (navigator.clipboard?.write && window.ClipboardItem) {
			try {
				await navigator.clipboard.write([new ClipboardItem({ 'text/plain': part('tsv', 'text/plain'), 'text/html': part('html', 'text/html') })]);
				return;
			} catch (error) {
				await wanted; // its own failure is the one to be named
				if (!(error instanceof DOMException)) throw error;
			}
		}
		const all = await wanted;
		const fill = (/** @type {ClipboardEvent} */ event) => {
			event.preventDefault();
			event.clipboardData?.setData('text/plain', all.tsv);
			event.clipboardData?.setData('text/html', all.html);
		};
		this.#own = true;
		document.addEventListener('copy', fill, { once: true, capture: true });
		const done = document.execCommand('copy');
		document.removeEventListener('copy', fill, { capture: true });
		this.#own = false;
		if (!done) throw new Error('The browser did not let this be copied.');
	}

	async cut() {
		if (this.commands.locked()) return;
		if (await this.copy()) await this.commands.fill('');
	}

	/** @param {ClipboardEvent} event */
	#paste(event) {
		const html = event.clipboardData?.getData('text/html') ?? '';
		const text = event.clipboardData?.getData('text/plain') ?? '';
		this.pasteFrom(html, text);
	}

	/** Pastes from a menu, where the browser lets it be read. */
	async pasteRead() {
		try {
			const [item] = await navigator.clipboard.read();
			const read = async (/** @type {string} */ type) => (item.types.includes(type) ? (await item.getType(type)).text() : '');
			this.pasteFrom(await read('text/html'), await read('text/plain'));
		} catch {
			toast('info', 'Press Ctrl+V: the browser does not let a page read the clipboard by itself.');
		}
	}

	/**
	 * @param {string} html
	 * @param {string} text
	 */
	pasteFrom(html, text) {
		const block = (/<table/i.test(html) ? parseTable(html) : undefined) ?? (text === '' ? [] : parseTSV(text));
		return this.commands.paste(block);
	}
}
