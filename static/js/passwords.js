// @ts-check
/**
 * Fields of passwords: a button shows what is typed, and where a password is chosen its strength is said. Both work without it, by dots and by
 * the answer to the form.
 *
 * @module passwords
 */

/** How long somebody rests from typing before the server is asked, in milliseconds. */
const REST = 400;

/**
 * @param {Element} button
 * @param {boolean} shown
 */
function show(button, shown) {
	const field = document.getElementById(button.getAttribute('aria-controls') ?? '');
	if (!(field instanceof HTMLInputElement)) return;
	field.type = shown ? 'text' : 'password';
	button.setAttribute('aria-pressed', String(shown));
}

document.addEventListener('click', (event) => {
	const button = event.target instanceof Element ? event.target.closest('[data-shows]') : null;
	if (button) show(button, button.getAttribute('aria-pressed') !== 'true');
});

// Browsers keep what was typed into fields of text: it is a password again before it leaves.
document.addEventListener('submit', (event) => {
	if (event.target instanceof Element) for (const button of event.target.querySelectorAll('[data-shows][aria-pressed="true"]')) show(button, false);
}, true);

/** @type {WeakMap<HTMLInputElement, AbortController>} */
const asked = new WeakMap();

/** What is known of the person: the server looks whether the password is little more than that. */
function about(/** @type {HTMLInputElement} */ field) {
	const all = new FormData(field.form ?? undefined);
	const body = new URLSearchParams({ password: field.value, email: String(all.get('email') ?? all.get('username') ?? '') });
	for (const name of ['name', 'organization']) body.set(name, String(all.get(name) ?? ''));
	return body;
}

/**
 * @param {HTMLInputElement} field
 * @param {Element} place
 */
async function measure(field, place) {
	asked.get(field)?.abort();
	const stop = new AbortController();
	asked.set(field, stop);
	let words = '';
	try {
		await new Promise((done) => setTimeout(done, REST));
		if (stop.signal.aborted) return;
		if (field.value) {
			const answer = await fetch('/password/strength', { method: 'POST', body: about(field), signal: stop.signal });
			if (answer.ok) words = await answer.text();
		}
	} catch {
		// It is said when the form is sent.
	}
	if (!stop.signal.aborted) place.innerHTML = words;
}

document.addEventListener('input', (event) => {
	const field = event.target;
	if (!(field instanceof HTMLInputElement)) return;
	const place = document.querySelector(`[data-strength-of="${CSS.escape(field.id)}"]`);
	if (place) measure(field, place);
});

for (const el of document.querySelectorAll('[data-shows], [data-strength-of]')) el.removeAttribute('hidden');
document.addEventListener('htmx:after:swap', () => {
	for (const el of document.querySelectorAll('[data-shows][hidden]')) el.removeAttribute('hidden');
});
