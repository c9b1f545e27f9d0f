// @ts-check
/**
 * The grid's page: makes its parts and hands clicks to them.
 *
 * @module grid/main
 */
import { toast } from '../toast.js';
import { Clipboard } from './clipboard.js';
import { Commands } from './commands.js';
import { Editor } from './editor.js';
import { Find } from './find.js';
import { Follow } from './follow.js';
import { el, Grid } from './grid.js';
import { Keyboard } from './keyboard.js';
import { Menu } from './menu.js';
import { Mouse } from './mouse.js';
import { Overlay } from './overlay.js';
import { Panel } from './panel.js';
import { People } from './people.js';
import { Replace } from './replace.js';
import { Review } from './review.js';
import { Selection } from './selection.js';
import { Status } from './status.js';
import { Tools } from './tools.js';

export class App {
	/** @param {import('./grid.js').Settings} settings */
	constructor(settings) {
		this.grid = new Grid(settings, /** @type {HTMLElement} */ (el('#grid')));
		this.overlay = new Overlay(this.grid);
		this.selection = new Selection(this.grid);
		this.commands = new Commands(this.grid, this.selection, this.overlay);
		this.editor = new Editor(this.grid, this.overlay, (place, text, fill) => this.#commit(place, text, fill), (move) => this.#moved(move));
		this.clipboard = new Clipboard(this.grid, this.selection, this.commands);
		this.panel = new Panel(this);
		this.review = new Review(this);
		this.status = new Status(this);
		this.find = new Find(this);
		this.replace = new Replace(this);
		this.tools = new Tools(this);
		this.menu = new Menu(this);
		this.mouse = new Mouse(this);
		this.keyboard = new Keyboard(this);
		this.people = new People(this);
		this.grid.addEventListener('rows', () => this.find.drawn());
		this.grid.addEventListener('order', () => this.tools.exportLinks());
		this.grid.outbox.addEventListener('adopted', (event) => this.#adopted(/** @type {CustomEvent} */ (event).detail));
		document.addEventListener('click', (event) => this.#click(event));
		this.selection.addEventListener('change', () => this.#keepCell());
	}

	async start() {
		rememberZone();
		await this.grid.start();
		const [record, column] = this.grid.settings.cell.split(':').map(Number);
		const wanted = record || this.panel.record;
		const at = wanted ? await this.grid.positionOf(wanted).catch(() => -1) : 0;
		if (at >= 0) this.selection.go(at, Math.max(0, column ? this.grid.columns.indexOf(column) : 0));
		this.panel.attend();
		await this.status.renew();
		this.follow = new Follow(this);
		if (!this.panel.isOpen && !document.activeElement?.matches('input, textarea')) this.grid.el.focus({ preventScroll: true });
		this.grid.el.dataset.ready = 'true';
	}

	/**
	 * @param {import('./editor.js').Place} place
	 * @param {string} text
	 * @param {boolean} fill
	 */
	async #commit(place, text, fill) {
		if (!fill || this.selection.size === 1) return this.commands.set(place.record, place.column, text);
		this.commands.fill(text);
		return '';
	}

	/** @param {import('./editor.js').Move} move */
	#moved(move) {
		const { selection } = this;
		const { row, col } = selection.active;
		const several = selection.size > 1;
		if (move === 'down' || move === 'up') several ? selection.step(move === 'down' ? 1 : -1, true) : selection.go(row + (move === 'down' ? 1 : -1), col);
		if (move === 'right' || move === 'left') several ? selection.step(move === 'right' ? 1 : -1, false) : selection.go(row, col + (move === 'right' ? 1 : -1));
	}

	/** Opens the editor on the active cell, with what was refused in it, if anything was. */
	edit() {
		const { selection, grid } = this;
		const { row, col } = selection.active;
		const { column } = selection;
		const record = grid.idAt(row);
		if (!column || record === undefined || this.commands.locked(column)) return;
		if (column.type === 'checkbox') return void this.commands.toggle();
		const refused = this.overlay.get(record, column.number);
		this.editor.open(row, col, refused?.reason ? { text: refused.text, reason: refused.reason } : {});
	}

	/** Opens the editor with a text in it. @param {string} text */
	editNow(text) {
		const { selection } = this;
		if (!this.commands.locked(selection.column)) this.editor.open(selection.active.row, selection.active.col, { text });
	}

	/** Ctrl+Enter outside the editor: the active cell's value in all selected cells. */
	fillWithActive() {
		const { selection, commands } = this;
		const { row, col } = selection.active;
		if (selection.size === 1 || commands.locked()) return;
		const source = { r0: row, r1: row, c0: col, c1: col };
		for (const range of selection.ranges) commands.spread(source, range);
	}

	/** Sets the active cell back to what the service held. */
	restore() {
		return this.#act('restore');
	}

	/** @param {'mine' | 'theirs'} as */
	settle(as) {
		return this.#act(as);
	}

	/** @param {string} act of the record panel, on the active cell */
	async #act(act) {
		const record = this.grid.idAt(this.selection.active.row);
		const { column } = this.selection;
		if (record === undefined || !column) return;
		await this.commands.send(`records/${record}`, new URLSearchParams({ do: act, column: String(column.number) }), act);
		await this.grid.window.patch([record]);
		this.panel.renew([record]);
	}

	/** @param {{sent: number, refused: number}} adopted */
	#adopted({ sent, refused }) {
		if (sent) toast('ok', `${sent === 1 ? 'A change' : `${sent} changes`} from before ${sent === 1 ? 'was' : 'were'} sent now.`);
		if (refused) toast('error', `${refused === 1 ? 'A change' : `${refused} changes`} from before ${refused === 1 ? 'was' : 'were'} refused.`);
		this.grid.window.refresh();
		this.status.soon();
	}

	/** The address names the active cell, so that it can be linked. */
	#keepCell() {
		clearTimeout(this.#keeping);
		this.#keeping = window.setTimeout(() => {
			const record = this.grid.idAt(this.selection.active.row);
			const here = new URL(location.href);
			if (record === undefined || !this.selection.column) return;
			here.searchParams.set('cell', `${record}:${this.selection.column.number}`);
			history.replaceState(history.state, '', here);
		}, 400);
	}

	#keeping = 0;

	/** @param {MouseEvent} event */
	#click(event) {
		const target = event.target instanceof Element ? event.target.closest('[data-do]') : null;
		if (!(target instanceof HTMLElement)) return;
		const act = this.#acts[target.dataset.do ?? ''];
		if (!act) return;
		event.preventDefault();
		act(target);
	}

	/** @type {Record<string, (target: HTMLElement) => unknown>} */
	#acts = {
		undo: () => this.commands.back('undo'),
		redo: () => this.commands.back('redo'),
		add: () => this.commands.add(),
		replace: () => this.replace.open(),
		find: () => this.find.open(),
		'find-next': () => this.find.next(1),
		'find-previous': () => this.find.next(-1),
		'find-close': () => this.find.end(),
		'show-all': () => {
			this.grid.el.focus({ preventScroll: true });
			this.grid.setView({ filter: '', find: '' });
		},
		'edit-chip': (target) => this.tools.editChip(target),
		facets: () => this.tools.facets(),
		fresh: () => this.grid.takeOrder({ fresh: true }),
		outbox: () => this.grid.outbox.retry(),
		'accept-here': () => this.review.decideHere('accept'),
		'reject-here': () => this.review.decideHere('reject'),
		'next-suggestion': () => this.review.go(1),
		'previous-suggestion': () => this.review.go(-1),
		accept: () => this.review.decide('accept'),
		reject: () => this.review.decide('reject'),
		'accept-column': () => this.selection.column && this.review.decideColumn(this.selection.column, 'accept'),
		'accept-all': () => this.review.decideAll('accept'),
		'reject-all': () => this.review.decideAll('reject'),
		'review-close': () => this.review.close(),
		groups: () => this.review.groups(),
		'accept-group': (target) => this.review.decideGroup(target.dataset.group ?? '', 'accept'),
		'reject-group': (target) => this.review.decideGroup(target.dataset.group ?? '', 'reject'),
		'record-previous': () => this.panel.step(-1),
		'record-next': () => this.panel.step(1),
		'record-close': () => this.panel.close(),
	};
}

/** Instants are shown in the browser's zone, which the server is told. */
function rememberZone() {
	const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
	if (zone && !document.cookie.includes('zone=')) document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
}

const settings = document.getElementById('grid-settings')?.textContent;
if (settings) new App(JSON.parse(settings)).start();
