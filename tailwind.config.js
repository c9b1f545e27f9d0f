// The look as tokens: paper on a desk, one accent for what can be pressed, one colour with one mark for each state of a
// cell. Nothing else names a colour. Each token is [light, dark]; all text pairs reach 4.5:1 in both.
const tokens = {
	paper: ['#ffffff', '#191816'], // the sheet: cells, panels, cards
	desk: ['#f6f4ef', '#100f0e'], // what lies around it: bars, the page
	rule: ['#e4e0d7', '#2d2b27'], // lines between cells and parts
	'rule-strong': ['#cbc5b8', '#45423c'], // edges of what can be pressed without colour
	ink: ['#1d1b18', '#ece8e0'], // text
	'ink-2': ['#5f5a50', '#a8a297'], // secondary text
	'ink-3': ['#6f695d', '#8b857a'], // placeholders, row numbers
	accent: ['#2456c8', '#8fb0ff'], // focus, primary action, links
	'accent-ink': ['#ffffff', '#0d1730'],
	'accent-soft': ['#e7edfb', '#1c2540'],
	edit: ['#9a5800', '#f0a63a'], // edited here, not yet published
	'edit-soft': ['#fdf3df', '#2e2413'],
	suggest: ['#6b3fc4', '#b99bff'], // suggested, not yet decided
	'suggest-soft': ['#f1ebfc', '#261c3d'],
	add: ['#1c7a43', '#6fd196'], // inserted text, created records, success
	'add-soft': ['#e2f4e8', '#15291d'],
	del: ['#b3261e', '#ff9a91'], // removed text, deleted records, errors
	'del-soft': ['#fbe7e5', '#331a18'],
	conflict: ['#a8400b', '#ff9d66'], // the service changed it too
	'conflict-soft': ['#fdeadf', '#36200f'],
	// Other people: their face and the frame around their cell, white text on it 4.5:1 and more.
	'person-0': ['#b4325f', '#b4325f'],
	'person-1': ['#7a4fc0', '#7a4fc0'],
	'person-2': ['#6b6b00', '#6b6b00'],
	'person-3': ['#0f766e', '#0f766e'],
	'person-4': ['#3f7a1f', '#3f7a1f'],
	'person-5': ['#9a5a00', '#9a5a00'],
	'person-6': ['#a8442a', '#a8442a'],
	'person-7': ['#5b6470', '#5b6470'],
};

const measures = {
	'--radius': '6px',
	'--row': '32px',
	'--row-compact': '26px',
	'--row-tall': '56px',
	'--text': '13px',
	'--font': 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
	'--mono': 'ui-monospace, "SF Mono", "Cascadia Mono", "Noto Sans Mono", monospace',
	'--shadow': '0 1px 2px rgb(0 0 0 / .06), 0 8px 24px rgb(0 0 0 / .12)',
	'--scrim': 'rgb(0 0 0 / .32)',
};

const names = Object.keys(tokens);

/** @type {import('tailwindcss').Config} */
export default {
	theme: {
		colors: {
			transparent: 'transparent',
			current: 'currentColor',
			...Object.fromEntries(names.map((name) => [name, `var(--${name})`])),
		},
		fontFamily: { sans: 'var(--font)', mono: 'var(--mono)' },
		fontSize: {
			tiny: ['11px', '17px'],
			small: ['12px', '1.45'],
			base: ['13px', '1.45'],
			lead: ['14px', '1.45'],
			title: ['15px', '1.35'],
			page: ['20px', '1.3'],
			figure: ['22px', '1.3'],
		},
		borderRadius: { none: '0', sm: '4px', DEFAULT: 'var(--radius)', lg: '10px', full: '9999px' },
		boxShadow: { DEFAULT: 'var(--shadow)', none: 'none' },
		screens: { sm: '641px', md: '900px', lg: '1200px' },
		extend: {
			maxWidth: { page: '980px', form: '620px', text: '60ch' },
			transitionDuration: { DEFAULT: '120ms' },
		},
	},
	plugins: [
		/** @param {{addBase: (rules: object) => void}} api */
		({ addBase }) =>
			addBase({
				':root': {
					'color-scheme': 'light dark',
					...Object.fromEntries(names.map((name) => [`--${name}`, `light-dark(${tokens[name].join(', ')})`])),
					...measures,
				},
				':root[data-theme=light]': { 'color-scheme': 'light' },
				':root[data-theme=dark]': { 'color-scheme': 'dark' },
			}),
	],
};
