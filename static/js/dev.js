// @ts-check
/**
 * While the program is being worked on: loads the page anew when the program has been built and started again.
 *
 * @module dev
 */

const every = 700; // milliseconds

/** The run of the program that answers now; empty while none does. */
async function run() {
	try {
		const answer = await fetch('/dev/run', { cache: 'no-store' });
		return answer.ok ? await answer.text() : '';
	} catch {
		return ''; // it is being started again
	}
}

let first = '';
async function look() {
	const now = await run();
	first ||= now;
	if (now && now !== first) location.reload();
	else setTimeout(look, every);
}
look();
