// @ts-check
/**
 * Ctrl+K: a list that reaches everything. Arrow keys choose, Enter goes.
 *
 * @module palette
 */
import { setTheme } from './theme.js';

/** @typedef {{text: string, hint?: string, icon: string, address?: string, post?: string, does?: string}} Entry */

const MOST = 60;
const dialog = document.querySelector('dialog[data-palette]');

/** @type {Entry[]} */
let entries = [];
/** @type {Entry[]} */
let shown = [];
let at = 0;

/** @param {string} s */
const plain = (s) => s.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

/**
 * How well an entry fits: 0 not at all; a beginning is better than a middle, a middle than scattered letters.
 *
 * @param {Entry} entry
 * @param {string} wanted
 */
function fit(entry, wanted) {
	const text = plain(entry.text);
	if (text.startsWith(wanted)) return 4;
	if (text.includes(` ${wanted}`)) return 3;
	if (text.includes(wanted)) return 2;
	const words = plain(`${entry.text} ${entry.hint ?? ''}`);
	return wanted.split(/\s+/).every((w) => words.includes(w)) ? 1 : 0;
}

/** @param {HTMLDialogElement} box */
function parts(box) {
	return {
		input: /** @type {HTMLInputElement} */ (box.querySelector('input')),
		list: /** @type {HTMLElement} */ (box.querySelector('[role="listbox"]')),
		none: /** @type {HTMLElement} */ (box.querySelector('[data-palette-empty]')),
	};
}

/** @param {HTMLDialogElement} box */
function draw(box) {
	const { input, list, none } = parts(box);
	const wanted = plain(input.value.trim());
	shown = (wanted === '' ? entries : entries.map((entry, i) => ({ entry, i, fits: fit(entry, wanted) }))
		.filter((e) => e.fits > 0)
		.sort((a, b) => b.fits - a.fits || a.i - b.i)
		.map((e) => e.entry)).slice(0, MOST);
	at = Math.min(at, Math.max(0, shown.length - 1));
	list.replaceChildren(...shown.map(line));
	none.hidden = shown.length > 0 || entries.length === 0;
	mark(box);
}

/**
 * @param {Entry} entry
 * @param {number} i
 */
function line(entry, i) {
	const li = document.createElement('li');
	li.id = `palette-${i}`;
	li.setAttribute('role', 'option');
	li.className = 'flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 aria-selected:bg-accent-soft aria-selected:text-accent';
	const text = document.createElement('span');
	text.className = 'min-w-0 flex-1 truncate';
	text.textContent = entry.text;
	const hint = document.createElement('span');
	hint.className = 'max-w-[45%] truncate text-small text-ink-2';
	hint.textContent = entry.hint ?? '';
	li.append(text, hint);
	return li;
}

/** @param {HTMLDialogElement} box */
function mark(box) {
	const { input, list } = parts(box);
	[...list.children].forEach((li, i) => li.setAttribute('aria-selected', String(i === at)));
	if (shown.length) input.setAttribute('aria-activedescendant', `palette-${at}`);
	else input.removeAttribute('aria-activedescendant');
	list.children[at]?.scrollIntoView({ block: 'nearest' });
}

/**
 * Goes to an entry. Writes are plain posts of a form.
 *
 * @param {HTMLDialogElement} box
 * @param {Entry | undefined} entry
 * @param {boolean} newTab
 */
function go(box, entry, newTab) {
	if (!entry) return;
	box.close();
	if (entry.address && newTab) window.open(entry.address, '_blank', 'noopener');
	else if (entry.address) location.assign(entry.address);
	else if (entry.post) {
		const form = document.createElement('form');
		form.method = 'post';
		form.action = entry.post;
		document.body.append(form);
		form.submit();
	} else if (entry.does?.startsWith('theme-')) void setTheme(entry.does.slice(6));
	else if (entry.does === 'keys') {
		const keys = document.getElementById('keys');
		if (keys instanceof HTMLDialogElement) keys.showModal();
	} else if (entry.does) document.dispatchEvent(new CustomEvent('scratchpaper:does', { detail: entry.does }));
}

/** @param {HTMLDialogElement} box */
function start(box) {
	const { input, list } = parts(box);
	box.addEventListener('scratchpaper:opened', async () => {
		input.value = '';
		at = 0;
		draw(box);
		input.focus();
		const answer = await fetch(`/palette?snapshot=${encodeURIComponent(box.dataset.snapshot ?? '')}`, { headers: { Accept: 'application/json' } }).catch(() => null);
		if (!answer?.ok) return;
		entries = (await answer.json()).entries;
		draw(box);
	});
	input.addEventListener('input', () => {
		at = 0;
		draw(box);
	});
	input.addEventListener('keydown', (event) => {
		const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
		if (step && shown.length) {
			event.preventDefault();
			at = Math.abs(step) === 1 ? (at + step + shown.length) % shown.length : Math.max(0, Math.min(shown.length - 1, at + step));
			mark(box);
		} else if (event.key === 'Enter' && !event.isComposing) {
			event.preventDefault();
			go(box, shown[at], event.ctrlKey || event.metaKey);
		}
	});
	list.addEventListener('click', (event) => {
		const li = event.target instanceof Element ? event.target.closest('li') : null;
		if (li) go(box, shown[[...list.children].indexOf(li)], event.ctrlKey || event.metaKey);
	});
	list.addEventListener('pointermove', (event) => {
		const li = event.target instanceof Element ? event.target.closest('li') : null;
		const i = li ? [...list.children].indexOf(li) : -1;
		if (i < 0 || i === at) return;
		at = i;
		mark(box);
	});
}

if (dialog instanceof HTMLDialogElement) start(dialog);
