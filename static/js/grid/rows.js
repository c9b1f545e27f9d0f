// @ts-check
/**
 * Rows as the server renders them.
 *
 * @module grid/rows
 */

/**
 * Writes a row's position into it.
 *
 * @param {HTMLElement} row
 * @param {number} position
 */
export function number(row, position) {
	if (row.dataset.pos === String(position)) return;
	row.dataset.pos = String(position);
	row.setAttribute('aria-rowindex', String(position + 2));
	const cell = row.querySelector('.n');
	if (cell) cell.textContent = String(position + 1);
}

/**
 * The gap that a record leaves which is gone.
 *
 * @param {HTMLElement} row
 */
export function gone(row) {
	const gap = /** @type {HTMLElement} */ (row.cloneNode(false));
	gap.className = 'r is-gone';
	const n = row.querySelector('.n');
	if (n) gap.append(n);
	return gap;
}

/**
 * The rows of a window as the server renders it.
 *
 * @param {string} html
 * @returns {HTMLElement[]}
 */
export function rowsOf(html) {
	const template = document.createElement('template');
	template.innerHTML = html;
	return /** @type {HTMLElement[]} */ ([...template.content.children]);
}

/**
 * Calls when the browser has nothing better to do.
 *
 * @param {() => void} call
 * @returns {number}
 */
export function soon(call) {
	return typeof requestIdleCallback === 'function' ? requestIdleCallback(call, { timeout: 200 }) : setTimeout(call, 50);
}

/** Takes a call back. @param {number} call what soon gave */
export function never(call) {
	if (typeof cancelIdleCallback === 'function') cancelIdleCallback(call);
	else clearTimeout(call);
}
