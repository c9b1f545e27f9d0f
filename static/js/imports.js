// @ts-check
/**
 * Files: choosing one sends it, and a page with an import form takes one that is dropped anywhere.
 *
 * @module imports
 */
import { toast } from './toast.js';

/** @returns {HTMLFormElement | null} */
function importForm() {
	const form = document.querySelector('form[data-import-form]');
	return form instanceof HTMLFormElement ? form : null;
}

document.addEventListener('change', (event) => {
	const input = event.target;
	if (input instanceof HTMLInputElement && input.hasAttribute('data-submits') && input.files?.length) input.form?.requestSubmit();
});

/** Date-times of a file that name no zone are read in the person's. */
function fillZone() {
	for (const input of document.querySelectorAll('input[data-zone]')) {
		if (input instanceof HTMLInputElement) input.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
	}
	for (const button of document.querySelectorAll('[data-without-script]')) button.toggleAttribute('hidden', true);
}

document.addEventListener('htmx:after:swap', (event) => {
	fillZone();
	// The address holds every choice, so that a reload shows the same; htmx itself leaves the history alone here.
	const answered = /** @type {CustomEvent} */ (event).detail?.ctx?.response?.raw?.url;
	if (!location.pathname.startsWith('/imports/') || !answered) return;
	if (new URL(answered).pathname === location.pathname) history.replaceState(history.state, '', answered);
});
fillZone();

/** @param {DragEvent} event */
const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');

let depth = 0;

/** @param {boolean} on */
function veil(on) {
	if (on) document.documentElement.dataset.dragging = '';
	else delete document.documentElement.dataset.dragging;
}

document.addEventListener('dragenter', (event) => {
	if (!importForm() || !hasFile(event)) return;
	depth++;
	veil(true);
});

document.addEventListener('dragleave', (event) => {
	if (!importForm() || !hasFile(event)) return;
	depth = Math.max(0, depth - 1);
	if (depth === 0) veil(false);
});

document.addEventListener('dragover', (event) => {
	if (importForm() && hasFile(event)) event.preventDefault();
});

document.addEventListener('drop', (event) => {
	const form = importForm();
	if (!form || !hasFile(event)) return;
	event.preventDefault();
	depth = 0;
	veil(false);
	const files = event.dataTransfer?.files;
	if (!files || files.length !== 1) {
		toast('error', 'Drop one file at a time.');
		return;
	}
	const input = form.querySelector('input[type="file"]');
	if (!(input instanceof HTMLInputElement)) return;
	input.files = files;
	form.requestSubmit();
});

// While a file is on its way, the page says how much of it has arrived.
document.addEventListener('submit', (event) => {
	const form = event.target;
	if (!(form instanceof HTMLFormElement) || !form.hasAttribute('data-import-form') || event.defaultPrevented) return;
	event.preventDefault();
	if (form.dataset.sent) return;
	form.dataset.sent = 'yes';
	send(form);
});

/** @param {HTMLFormElement} form */
function send(form) {
	const bar = document.createElement('progress');
	bar.setAttribute('aria-label', 'Upload');
	bar.max = 1;
	form.append(bar);
	const request = new XMLHttpRequest();
	request.open('POST', form.action);
	request.setRequestHeader('Accept', 'application/json');
	request.upload.addEventListener('progress', (e) => {
		if (e.lengthComputable) bar.value = e.loaded / e.total;
	});
	const ended = (/** @type {string} */ sentence) => {
		bar.remove();
		delete form.dataset.sent;
		form.reset();
		toast('error', sentence);
	};
	request.addEventListener('error', () => ended('The file did not arrive: the server could not be reached.'));
	request.addEventListener('load', () => {
		if (request.status < 400) {
			location.assign(JSON.parse(request.responseText).address);
			return;
		}
		let sentence = 'The file was refused.';
		try {
			sentence = JSON.parse(request.responseText).detail ?? sentence;
		} catch {
			// the sentence above has to do
		}
		ended(sentence);
	});
	request.send(new FormData(form));
}
