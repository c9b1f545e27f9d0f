// @ts-check
/**
 * Moments in the person's own zone and language. Every <time data-when> is written anew, and "ago" keeps counting.
 *
 * @module times
 */

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });
const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const both = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });

/** @param {Date} then */
function ago(then) {
	const seconds = Math.round((then.getTime() - Date.now()) / 1000);
	const distance = Math.abs(seconds);
	if (distance < 45) return relative.format(0, 'second');
	if (distance < 45 * 60) return relative.format(Math.round(seconds / 60), 'minute');
	if (then.toDateString() === new Date().toDateString()) return time.format(then);
	if (distance < 22 * 3600) return relative.format(Math.round(seconds / 3600), 'hour');
	if (distance < 7 * 86400) return relative.format(Math.round(seconds / 86400), 'day');
	return date.format(then);
}

/** @type {Record<string, (then: Date) => string>} */
const ways = { ago, time: (then) => time.format(then), date: (then) => date.format(then), both: (then) => both.format(then) };

/**
 * Writes every moment under root.
 *
 * @param {ParentNode} root
 */
export function showTimes(root) {
	for (const el of root.querySelectorAll('time[data-when]')) {
		if (!(el instanceof HTMLTimeElement)) continue;
		const then = new Date(el.dateTime);
		if (Number.isNaN(then.getTime())) continue;
		const text = (ways[el.dataset.when ?? ''] ?? ways.both)(then);
		if (el.textContent !== text) el.textContent = text;
		const title = full.format(then);
		if (el.title !== title) el.title = title;
	}
}

setInterval(() => {
	if (!document.hidden) showTimes(document);
}, 20_000);
