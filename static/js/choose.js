// @ts-check
/**
 * Choosing tables for a snapshot: all at once, and how much that is.
 *
 * @module choose
 */

const number = new Intl.NumberFormat();

/** @param {HTMLFormElement} form */
function sum(form) {
	const tables = [...form.querySelectorAll('[data-choose-table]')].filter((t) => t instanceof HTMLElement);
	let chosen = 0;
	let can = 0;
	let records = 0;
	let known = true;
	for (const table of tables) {
		const box = table.querySelector('input[name="table"]');
		if (!(box instanceof HTMLInputElement) || box.disabled) continue;
		can++;
		if (!box.checked) continue;
		chosen++;
		const n = Number(table.dataset.records);
		if (n < 0) known = false;
		else records += n;
	}
	const all = form.querySelector('[data-choose-all]');
	if (all instanceof HTMLInputElement) {
		all.checked = can > 0 && chosen === can;
		all.indeterminate = chosen > 0 && chosen < can;
		all.disabled = can === 0;
	}
	const place = form.querySelector('[data-choose-sum]');
	if (place) place.textContent = chosen === 0 ? 'none chosen' : `${chosen} chosen${records || known ? `, ${known ? '' : 'more than '}${number.format(records)} records` : ''}`;
}

for (const form of document.querySelectorAll('form[data-choose]')) {
	if (!(form instanceof HTMLFormElement)) continue;
	form.addEventListener('change', (event) => {
		const box = event.target;
		if (box instanceof HTMLInputElement && box.hasAttribute('data-choose-all')) {
			for (const table of form.querySelectorAll('input[name="table"]:not(:disabled)')) {
				if (table instanceof HTMLInputElement) table.checked = box.checked;
			}
		}
		sum(form);
	});
	sum(form);
}
