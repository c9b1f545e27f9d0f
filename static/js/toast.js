// @ts-check
/**
 * A sentence in the corner: read out, and gone by itself unless it is an error.
 *
 * @module toast
 */

const STAYS_MS = 6_000;
const MOST = 4;

/** @type {Record<string, string>} */
const looks = {
	error: 'border-del/35 bg-del-soft text-del',
	ok: 'border-add/35 bg-add-soft text-add',
	info: 'border-rule-strong bg-paper text-ink',
};

/**
 * Shows a sentence. One that is shown already stays, from now on.
 *
 * @param {'error' | 'ok' | 'info'} kind
 * @param {string} text
 */
export function toast(kind, text) {
	const place = document.getElementById('toasts');
	if (!place) return;
	for (const shown of place.children) if (shown.querySelector('p')?.textContent === text) shown.remove();
	const box = document.createElement('div');
	box.className = `pointer-events-auto flex items-start gap-2 rounded-lg border px-3.5 py-2.5 shadow ${looks[kind]}`;
	if (kind === 'error') box.setAttribute('role', 'alert');
	const words = document.createElement('p');
	words.className = 'min-w-0 flex-1 break-words';
	words.textContent = text;
	const close = document.createElement('button');
	close.type = 'button';
	close.className = 'rounded px-1 font-semibold hover:bg-rule';
	close.setAttribute('aria-label', 'Close this message');
	close.textContent = '×';
	close.addEventListener('click', () => box.remove());
	box.append(words, close);
	place.append(box);
	while (place.children.length > MOST) place.firstElementChild?.remove();
	if (kind !== 'error') setTimeout(() => box.remove(), STAYS_MS);
}
