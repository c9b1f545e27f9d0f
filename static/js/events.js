// @ts-check
/**
 * Live events: hints from the server that something changed, for every tab of this browser over one stream.
 *
 * The tab that holds a Web Lock has the stream and passes hints on by BroadcastChannel; the others announce their
 * topics to it. Lock and channel carry the person, organization and version of the page, so that tabs of different
 * ones never mix. Without Web Locks (no secure context) each visible tab has a stream of its own, hidden ones none.
 *
 * Hints may be lost or come twice. After a gap every callback gets {kind: "resync"} and compares versions.
 *
 * @module events
 */

import { LoneTab, SharingTab } from './events-tabs.js';

/**
 * @typedef {object} Hint
 * @property {string} kind change, counts, job, decision, presence, resync
 * @property {string} [org]
 * @property {string} [snapshot]
 * @property {string} [table]
 * @property {string} [job]
 * @property {string} [person] whom alone it concerns
 * @property {number} [version] of the table, after the change
 * @property {number[]} [rows] record ids
 * @property {boolean} [many] more rows than are worth naming
 * @property {string} [actor] the person who caused it
 * @property {string} [client] the tab that caused it; compare with clientId
 * @property {any} [data]
 * @property {boolean} [first] with resync: nothing was missed but what changed since the page was made
 */

/**
 * @typedef {object} Entry
 * @property {Set<string>} topics
 * @property {(hint: Hint) => void} callback
 * @property {boolean} live has been told that the stream carries its topics
 */

const RELOAD_MS = 30_000; // a page that finds itself signed out again this soon does not reload again

/** This tab's name, sent with its writes so that it knows its own hints. */
export const clientId = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('');

const meta = document.querySelector('meta[name="scratchpaper-session"]');
const identity = meta instanceof HTMLMetaElement ? meta.content : '';
const sharing = identity !== '' && 'locks' in navigator && 'BroadcastChannel' in window;

/** @type {Set<Entry>} */
const entries = new Set();
/** @type {Set<() => void>} */
const resyncs = new Set();

/**
 * Calls back with every hint of the topics until the returned function is called. The first call is
 * {kind: "resync", first: true}, once the stream carries the topics; what changed before it may have been missed.
 *
 * @param {string[]} topics "snapshot:<id>", "job:<id>", "org-jobs", "mine"
 * @param {(hint: Hint) => void} callback
 * @returns {() => void} unsubscribe
 */
export function subscribe(topics, callback) {
	const entry = { topics: new Set(topics), callback, live: false };
	entries.add(entry);
	member.topicsChanged();
	return () => {
		if (entries.delete(entry)) member.topicsChanged();
	};
}

/**
 * Calls back after every gap of the stream, whatever the topics.
 *
 * @param {() => void} callback
 * @returns {() => void} the way to stop it
 */
export function onResync(callback) {
	resyncs.add(callback);
	return () => resyncs.delete(callback);
}

/** Whether this tab is the one that holds the browser's stream. */
export function holdsStream() {
	return member.holdsStream();
}

/** @returns {string[]} */
function wantedTopics() {
	return [...new Set([...entries].flatMap((entry) => [...entry.topics]))].sort();
}

/**
 * The topics that a hint belongs to; the server's rule (internal/events/topic.go).
 *
 * @param {Hint} hint
 * @returns {string[]}
 */
function topicsOf(hint) {
	const topics = [];
	if (hint.snapshot) topics.push(`snapshot:${hint.snapshot}`);
	if (hint.job) topics.push(`job:${hint.job}`, 'org-jobs');
	if (hint.person) topics.push('mine');
	return topics;
}

/**
 * One callback's failure is not the others'.
 *
 * @param {() => void} call
 */
function apart(call) {
	try {
		call();
	} catch (error) {
		reportError(error);
	}
}

/** @param {Hint} hint */
function deliver(hint) {
	const topics = topicsOf(hint);
	for (const entry of [...entries]) {
		if (topics.some((topic) => entry.topics.has(topic))) apart(() => entry.callback(hint));
	}
}

/**
 * @param {string[]} topics
 * @param {boolean} gap
 */
function deliverCovered(topics, gap) {
	const covered = new Set(topics);
	const missed = gap && [...entries].some((entry) => entry.live);
	for (const entry of [...entries]) {
		if (!entry.live && [...entry.topics].every((topic) => covered.has(topic))) {
			entry.live = true;
			apart(() => entry.callback({ kind: 'resync', first: true }));
		} else if (entry.live && gap) {
			apart(() => entry.callback({ kind: 'resync' }));
		}
	}
	if (missed) for (const callback of [...resyncs]) apart(callback);
}

// Who signs out here is on the way to a page that says so: a reload would get there first, without the words.
let leaving = false;
document.addEventListener('submit', (event) => {
	const form = event.target;
	if (form instanceof HTMLFormElement && new URL(form.action).pathname === '/sign-out') leaving = true;
});

/**
 * The session is over. "scratchpaper:signed-out" goes out first, so that a half-typed cell can be kept;
 * whoever prevents its default reloads the page later.
 */
function leaveSignedOut() {
	if (leaving) return;
	if (!document.dispatchEvent(new CustomEvent('scratchpaper:signed-out', { cancelable: true }))) return;
	const key = 'scratchpaper-signed-out';
	const last = Number(sessionStorage.getItem(key) ?? 0);
	if (Date.now() - last < RELOAD_MS) return;
	sessionStorage.setItem(key, String(Date.now()));
	location.reload();
}

const page = { topics: wantedTopics, hint: deliver, covered: deliverCovered, signedOut: leaveSignedOut };
const member = sharing ? new SharingTab(page, `scratchpaper-events:${identity}`, clientId) : new LoneTab(page);
member.start();

let asleep = false;

function sleep() {
	if (asleep) return;
	asleep = true;
	member.stop();
}

/** What slept has to catch up, all of it. */
function wakeUp() {
	if (!asleep) return;
	asleep = false;
	for (const entry of entries) entry.live = false;
	member.start();
}

// A frozen tab still answers on the channel but hears nothing from the server, so it gives the stream away.
// A page kept for the back button is hidden and frozen, and comes back with both events or one.
document.addEventListener('freeze', sleep);
document.addEventListener('resume', wakeUp);
window.addEventListener('pagehide', sleep);
window.addEventListener('pageshow', wakeUp);
