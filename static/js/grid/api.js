// @ts-check
/**
 * Reading from the server.
 *
 * @module grid/api
 */
import { clientId } from '../events.js';
import { patiently } from '../patient.js';

/** An answer that is an error: its status and the sentence for the person. */
export class Problem extends Error {
	/**
	 * @param {number} status 0 is no answer at all
	 * @param {string} detail
	 * @param {number} [retryAfter] seconds
	 */
	constructor(status, detail, retryAfter) {
		super(detail);
		this.status = status;
		this.retryAfter = retryAfter;
	}
}

/**
 * Makes a Problem of an answer that is not ok.
 *
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
export async function problemOf(response) {
	const retry = Number(response.headers.get('Retry-After')) || undefined;
	let detail = `The server answered ${response.status}.`;
	try {
		const body = await response.json();
		if (typeof body.detail === 'string') detail = body.detail;
	} catch {
		// not a problem document: the status has to do
	}
	return new Problem(response.status, detail, retry);
}

/**
 * Joins an address and parameters; undefined and "" are left out.
 *
 * @param {string} path
 * @param {Record<string, string | number | undefined>} [params]
 */
export function address(path, params = {}) {
	const query = new URLSearchParams();
	for (const [name, value] of Object.entries(params)) {
		if (value !== undefined && value !== '') query.set(name, String(value));
	}
	const text = query.toString();
	return text ? `${path}?${text}` : path;
}

/**
 * @param {string} path
 * @param {string} accept
 * @param {AbortSignal} [signal]
 */
async function get(path, accept, signal) {
	const response = await patiently(path, { headers: { Accept: accept, 'X-Client': clientId }, signal, credentials: 'same-origin' });
	if (response.status === 401) location.reload();
	if (!response.ok) throw await problemOf(response);
	return response;
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function getJSON(path, signal) {
	return (await get(path, 'application/json', signal)).json();
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>}
 */
export async function getHTML(path, signal) {
	return (await get(path, 'text/html, application/problem+json;q=0.9', signal)).text();
}

/**
 * Puts server-rendered HTML into an element.
 *
 * @param {Element} into
 * @param {string} html
 */
export function setHTML(into, html) {
	const template = document.createElement('template');
	template.innerHTML = html;
	for (const el of template.content.querySelectorAll('[data-needs-script]')) el.removeAttribute('hidden');
	into.replaceChildren(template.content);
}

/**
 * @param {unknown} error
 * @returns {boolean} whether it only says that a newer request took its place
 */
export function aborted(error) {
	return error instanceof DOMException && error.name === 'AbortError';
}

/**
 * Runs only the last of calls that come close together.
 *
 * @param {number} ms
 * @param {() => void} call
 */
export function settled(ms, call) {
	let timer = 0;
	return () => {
		clearTimeout(timer);
		timer = window.setTimeout(call, ms);
	};
}
