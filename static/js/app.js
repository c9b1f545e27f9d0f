// @ts-check
/**
 * What every page has: menus, dialogs, times in the person's zone, live parts, messages. Pages work without it.
 *
 * @module app
 */
import './theme.js';
import './palette.js';
import './live.js';
import './choose.js';
import './imports.js';
import './people.js';
import './passwords.js';
import './patient.js';
import { showTimes } from './times.js';
import { toast } from './toast.js';

/** Shows what works only with scripts, and names keys as this machine's keyboard does. */
function adapt(/** @type {ParentNode} */ root) {
	for (const el of root.querySelectorAll('[data-needs-script]')) el.removeAttribute('hidden');
	const mac = /Mac|iPhone|iPad/.test(navigator.platform);
	if (mac) for (const key of root.querySelectorAll('kbd')) key.textContent = (key.textContent ?? '').replace('Ctrl', 'Cmd');
	for (const dialog of root.querySelectorAll('dialog[data-show]')) if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
	showTimes(root);
}

/** @param {Event} event */
function menusOf(event) {
	const inside = event.target instanceof Element ? event.target.closest('details[data-menu]') : null;
	for (const menu of document.querySelectorAll('details[data-menu][open]')) {
		if (menu !== inside && !menu.contains(inside)) menu.removeAttribute('open');
	}
}

/**
 * Opens a dialog by its id.
 *
 * @param {string} id
 */
export function openDialog(id) {
	const dialog = document.getElementById(id);
	if (!(dialog instanceof HTMLDialogElement)) return;
	for (const menu of document.querySelectorAll('details[data-menu][open]')) menu.removeAttribute('open');
	if (!dialog.open) dialog.showModal();
	dialog.dispatchEvent(new CustomEvent('scratchpaper:opened'));
}

document.addEventListener('click', (event) => {
	menusOf(event);
	const target = event.target instanceof Element ? event.target : null;
	const opener = target?.closest('[data-opens]');
	if (opener instanceof HTMLElement) openDialog(opener.dataset.opens ?? '');
	const closer = target?.closest('[data-closes-menu]');
	const menu = closer?.closest('details');
	if (menu) {
		menu.open = false;
		menu.querySelector('summary')?.focus();
	}
	// A click on what lies behind a dialog closes it.
	if (target instanceof HTMLDialogElement && target.open) {
		const box = target.getBoundingClientRect();
		const { clientX: x, clientY: y } = event;
		if (x < box.left || x > box.right || y < box.top || y > box.bottom) target.close();
	}
});

document.addEventListener('focusin', menusOf);

document.addEventListener('keydown', (event) => {
	const typing = event.target instanceof HTMLElement && (event.target.isContentEditable || event.target.matches('input, textarea, select'));
	const inGrid = event.target instanceof Element && event.target.closest('[role="grid"]') !== null;
	const control = event.ctrlKey || event.metaKey;
	if (event.key === 'Escape') {
		const menu = document.querySelector('details[data-menu][open]');
		if (menu instanceof HTMLDetailsElement) {
			menu.open = false;
			menu.querySelector('summary')?.focus();
			event.preventDefault();
		}
	} else if (control && event.key === '/') {
		event.preventDefault();
		openDialog('keys');
	} else if (event.key === '?' && !typing && !inGrid && !control && !event.altKey) {
		event.preventDefault();
		openDialog('keys');
	} else if (control && event.shiftKey && event.key === 'Enter' && !typing) {
		const button = document.querySelector('[data-publish]');
		if (!(button instanceof HTMLButtonElement) || button.disabled || document.querySelector('dialog[open]')) return;
		event.preventDefault();
		button.click();
	} else if (control && !event.shiftKey && !event.altKey && event.key.toLowerCase() === 'k') {
		event.preventDefault();
		openDialog('palette');
	}
});

// A form that makes something is sent once, however often its button is pressed.
document.addEventListener('submit', (event) => {
	const form = event.target;
	if (!(form instanceof HTMLFormElement) || !form.hasAttribute('data-once') || event.defaultPrevented) return;
	if (form.dataset.sent) {
		event.preventDefault();
		return;
	}
	form.dataset.sent = 'yes';
	for (const button of form.querySelectorAll('button')) {
		button.setAttribute('aria-disabled', 'true');
		button.setAttribute('aria-busy', 'true');
	}
});

// Coming back with the browser's own button shows the page as it was left: its forms can be sent again.
window.addEventListener('pageshow', (event) => {
	if (!event.persisted) return;
	for (const form of document.querySelectorAll('form[data-sent]')) {
		form.removeAttribute('data-sent');
		for (const button of form.querySelectorAll('button')) {
			button.removeAttribute('aria-disabled');
			button.removeAttribute('aria-busy');
		}
	}
});

/**
 * The sentence of an answer: a fragment's text, or a problem document's detail.
 *
 * @param {string} body
 */
function sentenceOf(body) {
	try {
		return String(JSON.parse(body).detail ?? '');
	} catch {
		return new DOMParser().parseFromString(body, 'text/html').body.textContent?.trim() ?? '';
	}
}

document.addEventListener('htmx:response:error', (event) => {
	const ctx = /** @type {CustomEvent} */ (event).detail?.ctx;
	const source = ctx?.sourceElement;
	if (source instanceof Element && source.hasAttribute('data-live')) return; // it comes again by itself
	if (source instanceof Element && source.hasAttribute(`hx-status:${ctx.response?.status}`)) return; // it is shown in its place
	toast('error', sentenceOf(ctx?.text ?? '') || 'The server refused that and did not say why.');
});

document.addEventListener('htmx:error', (event) => {
	const ctx = /** @type {CustomEvent} */ (event).detail?.ctx;
	if (ctx?.sourceElement instanceof Element && ctx.sourceElement.hasAttribute('data-live')) return;
	toast('error', 'The server could not be reached. What you typed is still here; try again.');
});

// Whoever works by keyboard stays where they were when the part around them is shown anew.
let focused = '';
document.addEventListener('htmx:before:swap', () => (focused = document.activeElement?.id ?? ''));
document.addEventListener('htmx:after:swap', () => {
	adapt(document);
	if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
});

// A button may say something else while a box is ticked: data-says and data-says-ticked, by the box's data-words-of.
document.addEventListener('change', (event) => {
	const box = event.target;
	if (!(box instanceof HTMLInputElement) || !box.dataset.wordsOf) return;
	const words = document.getElementById(box.dataset.wordsOf);
	if (words) words.textContent = (box.checked ? words.dataset.saysTicked : words.dataset.says) ?? '';
});

/** Fills in what only the browser knows, on the settings page. */
function describeBrowser() {
	/** @type {Record<string, string>} */
	const facts = {
		language: new Intl.DisplayNames(undefined, { type: 'language' }).of(navigator.language) ?? navigator.language,
		zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
		now: new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' }).format(new Date()),
		number: new Intl.NumberFormat().format(1234567.89),
	};
	for (const el of document.querySelectorAll('[data-browser]')) {
		if (el instanceof HTMLElement) el.textContent = facts[el.dataset.browser ?? ''] ?? el.textContent;
	}
}

adapt(document);
describeBrowser();
