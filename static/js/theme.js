// @ts-check
/**
 * Light, dark or as the system: changed in place, kept by the form's own address.
 *
 * @module theme
 */
import { toast } from './toast.js';

/**
 * Changes the theme of this page and keeps it for this browser.
 *
 * @param {string} theme system, light or dark
 */
export async function setTheme(theme) {
	if (theme === 'system') delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = theme;
	for (const form of document.querySelectorAll('form[data-theme-form]')) {
		for (const button of form.querySelectorAll('button[name="theme"]')) {
			const chosen = button instanceof HTMLButtonElement && button.value === theme;
			button.setAttribute('aria-pressed', String(chosen));
			if (form.parentElement?.matches('details')) button.lastElementChild?.classList.toggle('invisible', !chosen);
			const icon = button.querySelector('svg');
			const shown = document.querySelector('#theme > summary > svg');
			if (chosen && icon && shown) shown.innerHTML = icon.innerHTML;
		}
	}
	const answer = await fetch('/settings/theme', {
		method: 'POST',
		headers: { 'X-Requested-With': 'fetch' },
		body: new URLSearchParams({ theme }),
	}).catch(() => null);
	if (!answer?.ok) toast('error', 'The theme is not kept for the next page: the server could not be reached.');
}

document.addEventListener('submit', (event) => {
	const form = event.target;
	if (!(form instanceof HTMLFormElement) || !form.hasAttribute('data-theme-form')) return;
	const button = event.submitter;
	if (!(button instanceof HTMLButtonElement)) return;
	event.preventDefault();
	const menu = form.closest('details');
	if (menu) {
		menu.open = false;
		menu.querySelector('summary')?.focus();
	}
	void setTheme(button.value);
});
