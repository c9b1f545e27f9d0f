// @ts-check
/**
 * Asking again where nobody answered: a process of the app may just be restarting, and the next try reaches another.
 *
 * @module patient
 */

const GATEWAY = [502, 503, 504]; // a proxy in front, or a process that starts or stops
const PAUSE_MS = 200;
const TRIES = 7; // with pauses that double: about 12 s, longer than a load balancer takes to notice

/**
 * Like fetch, for what may be asked twice. The last answer, or failure, is given as it is.
 *
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function patiently(input, init) {
	for (let tried = 1, pause = PAUSE_MS; ; tried++, pause *= 2) {
		const last = tried === TRIES;
		try {
			const answer = await fetch(input, init);
			if (last || !GATEWAY.includes(answer.status)) return answer;
		} catch (error) {
			if (last || init?.signal?.aborted || !navigator.onLine) throw error;
		}
		await slept(pause * (0.75 + Math.random() / 2), init?.signal);
	}
}

/**
 * @param {number} ms
 * @param {AbortSignal | null} [signal]
 */
function slept(ms, signal) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(resolve, ms);
		signal?.addEventListener('abort', () => {
			clearTimeout(timer);
			reject(signal.reason instanceof Error ? signal.reason : new DOMException('aborted', 'AbortError'));
		}, { once: true });
	});
}

// htmx asks again too, but sends a form again only where that changes nothing: data-repeatable says so.
document.addEventListener('htmx:config:request', (event) => {
	const ctx = /** @type {CustomEvent} */ (event).detail?.ctx;
	const source = ctx?.sourceElement;
	if (ctx?.request.method === 'GET' || (source instanceof Element && source.hasAttribute('data-repeatable'))) ctx.fetch = patiently;
});
