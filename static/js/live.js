// @ts-check
/**
 * Parts of a page that change by themselves: an element with data-live="<topics>" is fetched again by its own hx-get
 * whenever a hint of its topics comes, at most four times a second, and now and then without one while a job runs.
 *
 * @module live
 */
import { subscribe } from './events.js';

const PACE_MS = 250;
const WITHOUT_HINT_MS = 8_000;

/** @typedef {{topics: string, stop: () => void}} Part */

/** @type {Map<string, Part>} by the element's id, which stays while its content is swapped */
const parts = new Map();

/** @param {string} id */
function refresh(id) {
	document.getElementById(id)?.dispatchEvent(new CustomEvent('scratchpaper:refresh'));
}

/**
 * Follows one element.
 *
 * @param {string} id
 * @param {string} topics
 * @returns {Part}
 */
function follow(id, topics) {
	let waiting = 0;
	let last = 0;
	const soon = () => {
		if (waiting) return;
		waiting = window.setTimeout(() => {
			waiting = 0;
			last = Date.now();
			refresh(id);
		}, Math.max(0, last + PACE_MS - Date.now()));
	};
	const unsubscribe = subscribe(topics.split(' '), soon);
	const timer = window.setInterval(() => {
		if (!document.hidden && Date.now() - last > WITHOUT_HINT_MS) soon();
	}, WITHOUT_HINT_MS);
	const stop = () => {
		unsubscribe();
		clearInterval(timer);
		clearTimeout(waiting);
	};
	return { topics, stop };
}

/** Follows what is on the page now, and nothing else. */
function look() {
	/** @type {Map<string, string>} */
	const wanted = new Map();
	for (const el of document.querySelectorAll('[data-live][id]')) {
		if (el instanceof HTMLElement) wanted.set(el.id, el.dataset.live ?? '');
	}
	for (const [id, part] of parts) {
		if (wanted.get(id) === part.topics) continue;
		part.stop();
		parts.delete(id);
	}
	for (const [id, topics] of wanted) {
		if (!parts.has(id)) parts.set(id, follow(id, topics));
	}
	watchJob();
}

/** @type {string | undefined} */
let shownState;

/** The tab's title follows the job on the page, and a notification tells its end to who has left the tab. */
function watchJob() {
	const job = document.getElementById('job');
	if (!job?.dataset.state) return;
	const { state, title } = job.dataset;
	if (title) document.title = `${title} · Scratchpaper`;
	const ended = state === 'done' || state === 'failed' || state === 'cancelled';
	const wasOpen = shownState !== undefined && shownState !== state && ['queued', 'running', 'waiting'].includes(shownState);
	if (ended && wasOpen && document.hidden && 'Notification' in window && Notification.permission === 'granted') {
		new Notification(title ?? 'A job has ended', { tag: location.pathname });
	}
	shownState = state;
}

document.addEventListener('htmx:after:swap', look);
look();
