// @ts-check
/**
 * The pages of somebody who has not signed in. A link's code stands behind its #, which browsers send to nobody: it is put into the
 * form and taken out of the address. Pages work without it, by typing the code.
 *
 * @module door
 */
import './passwords.js';

const code = location.hash.slice(1);
const form = document.querySelector('form[data-code]');
const field = form?.querySelector('input[name="code"]');
if (form instanceof HTMLFormElement && field instanceof HTMLInputElement && (code || field.value)) {
	if (code) field.value = code;
	history.replaceState(null, '', location.pathname);
	const wrong = field.getAttribute('aria-invalid') === 'true';
	const place = field.closest('[data-field]');
	if (place instanceof HTMLElement && !wrong) place.hidden = true;
	if (code && form.hasAttribute('data-goes-on')) form.requestSubmit();
}
const first = form?.querySelector('[data-field]:not([hidden]) input');
if (first instanceof HTMLInputElement && !first.value) first.focus();

// A form is sent once, however often its button is pressed.
document.addEventListener('submit', (event) => {
	const sent = event.target;
	if (!(sent instanceof HTMLFormElement)) return;
	if (sent.dataset.sent) event.preventDefault();
	sent.dataset.sent = 'yes';
});
window.addEventListener('pageshow', (event) => {
	if (event.persisted) for (const sent of document.querySelectorAll('form[data-sent]')) sent.removeAttribute('data-sent');
});

export {};
