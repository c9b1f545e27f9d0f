// @ts-check
/**
 * Reading what spreadsheets put on the clipboard.
 *
 * @module grid/tsv
 */

/**
 * Reads tab-separated text. A field is quoted only when its quotes close right before a tab, a line's end or the end;
 * quoted fields hold tabs and line breaks. One line break at the end belongs to the last line and makes none of its own.
 *
 * @param {string} text
 * @returns {string[][]}
 */
export function parseTSV(text) {
	text = text.replace(/\r\n?/g, '\n');
	if (text.endsWith('\n')) text = text.slice(0, -1);
	/** @type {string[][]} */
	const lines = [[]];
	let at = 0;
	for (;;) {
		const quoted = text[at] === '"' ? closed(text, at) : -1;
		const end = quoted >= 0 ? quoted + 1 : nextEnd(text, at);
		const field = quoted >= 0 ? text.slice(at + 1, quoted).replaceAll('""', '"') : text.slice(at, end);
		lines[lines.length - 1].push(field);
		if (end >= text.length) return lines;
		if (text[end] === '\n') lines.push([]);
		at = end + 1;
	}
}

/**
 * @param {string} text
 * @param {number} from
 */
function nextEnd(text, from) {
	for (let i = from; i < text.length; i++) if (text[i] === '\t' || text[i] === '\n') return i;
	return text.length;
}

/**
 * The index of the quote that closes the one at from, or -1 when what begins there is no quoted field.
 *
 * @param {string} text
 * @param {number} from
 */
function closed(text, from) {
	for (let i = from + 1; i < text.length; i++) {
		if (text[i] !== '"') continue;
		if (text[i + 1] === '"') i++;
		else return i + 1 >= text.length || text[i + 1] === '\t' || text[i + 1] === '\n' ? i : -1;
	}
	return -1;
}

/**
 * Reads the first table of HTML from a clipboard; undefined when there is none. Merged cells leave their places empty.
 *
 * @param {string} html
 * @returns {string[][] | undefined}
 */
export function parseTable(html) {
	const table = new DOMParser().parseFromString(html, 'text/html').querySelector('table');
	if (!table || table.rows.length === 0) return undefined;
	const exact = table.hasAttribute('data-scratchpaper');
	/** @type {string[][]} */
	const grid = Array.from(table.rows, () => []);
	for (const [y, row] of [...table.rows].entries()) {
		let x = 0;
		for (const cell of row.cells) {
			while (grid[y][x] !== undefined) x++;
			const text = cellText(cell, exact);
			for (let dy = 0; dy < cell.rowSpan && y + dy < grid.length; dy++) {
				for (let dx = 0; dx < cell.colSpan; dx++) grid[y + dy][x + dx] = dx === 0 && dy === 0 ? text : '';
			}
			x += cell.colSpan;
		}
	}
	return grid.map((line) => Array.from(line, (text) => text ?? ''));
}

/**
 * The text of a cell: line breaks where HTML has them, white space as a browser shows it.
 *
 * @param {Element} cell
 * @param {boolean} exact
 */
function cellText(cell, exact) {
	let text = '';
	const walk = (/** @type {Node} */ node) => {
		if (node.nodeType === Node.TEXT_NODE) text += exact ? node.textContent : (node.textContent ?? '').replace(/[ \t\r\n]+/g, ' ');
		else if (node.nodeName === 'BR') text += '\n';
		else {
			if (/^(P|DIV|LI)$/.test(node.nodeName) && text !== '' && !text.endsWith('\n')) text += '\n';
			for (const child of node.childNodes) walk(child);
		}
	};
	for (const child of cell.childNodes) walk(child);
	if (exact) return text;
	return text.replaceAll('\u00a0', ' ').replace(/ *\n */g, '\n').replace(/^ +| +$/g, '');
}
