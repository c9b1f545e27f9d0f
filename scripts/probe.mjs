// Looks for holes from outside: starts the app with password accounts on a folder of its own, signs in, takes the sample, and sends to every
// address what should do no harm. Afterwards sqlmap, where it is installed, tries the addresses that take the most. Ends with 1 when
// something was found.
//
// usage: node scripts/probe.mjs BINARY
//
// PROBE_ONLY is a part of the addresses to be walked; PROBE_SQLMAP=no leaves sqlmap out; PROBE_LOG is a file for the app's log.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const binary = process.argv[2];
if (!binary) {
	console.error('usage: node scripts/probe.mjs BINARY');
	process.exit(2);
}

const findings = new Map();
/** Notes what was found; the same at one address counts once. */
const found = (what, where) => findings.has(what + where) || findings.set(what + where, `${what}: ${where}`);

const freePort = () =>
	new Promise((resolve) => {
		const s = createServer().listen(0, '127.0.0.1', () => {
			const { port } = s.address();
			s.close(() => resolve(port));
		});
	});

/** The app, with an account and the sample. */
class App {
	cookie = '';
	requests = 0;

	async start() {
		const port = await freePort();
		this.base = `http://127.0.0.1:${port}`;
		this.dir = mkdtempSync(join(tmpdir(), 'scratchpaper-probe-'));
		const env = { ...process.env, PORT: String(port), BASE_URL: this.base, DATA_DIR: join(this.dir, 'data'), SIGN_IN: 'passwords', REQUESTS_PER_PERSON: '0', REQUESTS_PER_ADDRESS: '0', PASSWORD_MEMORY: '64', PASSWORD_ROUNDS: '1' };
		this.process = spawn(binary, ['serve'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
		this.log = '';
		this.process.stderr.on('data', (part) => (this.log += part));
		await this.until('the app starts', () => /Scratchpaper is at/.test(this.log) && /\/setup#(\S+)/.test(this.log));
		const code = /\/setup#(\S+)/.exec(this.log)[1];
		const set = await this.form('/setup', { code, name: 'Ana', email: 'ana@example.org', organization: 'Kettles', password: 'four wooden kettles' });
		this.cookie = set.headers.getSetCookie().find((c) => c.startsWith('scratchpaper='))?.split(';')[0] ?? '';
		if (!this.cookie) throw new Error(`the set-up answers ${set.status}: ${(await set.text()).slice(0, 300)}`);
		const made = await (await this.ask('POST', '/api/v1/sample', '{}')).json();
		await this.until('the sample is taken', async () => (await (await this.ask('GET', `/api/v1/jobs/${made.job.id}`)).json()).state === 'done');
		const tables = (await (await this.ask('GET', `/api/v1/snapshots/${made.snapshot.id}/tables`)).json()).items;
		this.ids = { snapshot: made.snapshot.id, table: tables.find((t) => t.remote_table.endsWith('countries'))?.id ?? tables[0].id, connection: made.connection.id, job: made.job.id, connector: 'postgres', version: 'x', record: '1' };
	}

	async until(what, holds) {
		for (const end = Date.now() + 180_000; !(await holds()); await new Promise((r) => setTimeout(r, 100))) {
			if (Date.now() > end || this.process.exitCode !== null) throw new Error(`not yet: ${what}\n${this.log.slice(-2000)}`);
		}
	}

	ask(method, path, body, headers = {}) {
		this.requests++;
		const answer = fetch(this.base + path, { method, body, redirect: 'manual', signal: AbortSignal.timeout(60_000), headers: { Accept: 'text/html', Cookie: this.cookie, ...(body ? { 'Content-Type': 'application/json' } : {}), ...headers } });
		return answer.catch((e) => Promise.reject(Object.assign(e, { address: `${method} ${path.slice(0, 200)}` })));
	}

	form(path, fields) {
		return this.ask('POST', path, new URLSearchParams(fields).toString(), { 'Content-Type': 'application/x-www-form-urlencoded' });
	}

	async stop() {
		this.process?.kill('SIGTERM');
		if (this.process && this.process.exitCode === null) await new Promise((r) => this.process.once('exit', r));
		rmSync(this.dir, { recursive: true, force: true });
	}
}

/** Every address, as "GET /path", from the list that the app itself is held against, and from its OpenAPI document. */
async function routes(app) {
	const source = readFileSync(new URL('../handlers/access.go', import.meta.url), 'utf8');
	const grid = '/snapshots/:snapshot/tables/:table';
	const plain = source.slice(source.indexOf('var pageAccess'), source.indexOf('const (')).replaceAll('" + grid + "', grid).replaceAll('" + grid', `${grid}"`).replaceAll('" + plan + "', '/snapshots/:snapshot/plans/:plan').replaceAll('" + plan', '/snapshots/:snapshot/plans/:plan"');
	const pages = [...plain.matchAll(/"(GET|POST) (\/[^"]*)"/g)].map(([, method, path]) => ({ method, path, query: ['filter', 'sort', 'find', 'column', 'columns', 'search', 'limit', 'after', 'back', 'q', 'act', 'open', 'state', 'record'] }));
	const document = await (await app.ask('GET', '/api/v1/openapi.json')).json();
	const server = document.servers?.[0]?.url ?? '/api/v1';
	const api = Object.entries(document.paths).flatMap(([path, methods]) =>
		Object.entries(methods)
			.filter(([method]) => ['get', 'post', 'patch', 'put', 'delete'].includes(method))
			.map(([method, operation]) => ({ method: method.toUpperCase(), path: (path.startsWith(server) ? '' : server) + path.replace(/\{(\w+)\}/g, ':$1'), query: (operation.parameters ?? []).filter((p) => p.in === 'query').map((p) => p.name) }))
	);
	return [...pages, ...api].filter((r) => !r.path.includes('/events'));
}

const mark = '<zq onx=1>';
const payloads = [`'`, `"`, `1) or 1=1--`, `') union select null,version()--`, mark, `"${mark}`, `{{7*7}}\${7*7}`, '../../../../etc/passwd', 'x\r\nX-Probe: 1', '$(sleep 7)', '`sleep 7`', '\u0000', '\\', '%', '\ufeff'.repeat(1000)];
const sleeps = (n) => [`'||(select pg_sleep(${n}))::text||'`, `1;select pg_sleep(${n})--`, `(select 1 from pg_sleep(${n}))`];

/** Looks at one answer. */
async function judge(where, answer) {
	const body = await answer.text();
	const h = answer.headers;
	if (answer.status >= 500) found(`status ${answer.status}`, where);
	if (h.get('x-probe')) found('a header was made up', where);
	if (h.get('content-type')?.includes('html') && body.includes(mark)) found('markup comes back as it was sent', where);
	if (/root:[^:]*:0:0:/.test(body)) found('a file of the system', where);
	if (/syntax error at or near|SQLSTATE|pq:|unterminated quoted string|goroutine \d+/.test(body)) found('words of the database or the program', where);
	const to = h.get('location') ?? h.get('hx-redirect') ?? '';
	if (to && !/^\/(?![/\\])/.test(to) && !to.startsWith(answer.url.split('/').slice(0, 3).join('/'))) found(`leads to ${to}`, where);
	for (const [name, want] of Object.entries({ 'x-content-type-options': /^nosniff$/, 'x-frame-options': /^DENY$/, 'content-security-policy': /script-src 'self'; /, 'referrer-policy': /^(same-origin|no-referrer)$/, 'cross-origin-opener-policy': /^same-origin$/, 'permissions-policy': /camera=\(\)/, 'cache-control': / \/static\/|columns\.css/.test(where) ? /(?:)/ : /no-store/ })) {
		if (!want.test(h.get(name) ?? '')) found(`the header ${name} is ${h.get(name)}`, where.split('?')[0]);
	}
	if (h.get('server') || h.get('x-powered-by')) found('the server names itself', where);
	if (h.get('access-control-allow-origin')) found('other origins are let in', where);
	for (const cookie of h.getSetCookie()) if (!/^theme=/.test(cookie) && !/HttpOnly/.test(cookie)) found(`the cookie ${cookie.split('=')[0]} is readable to scripts`, where);
}

/** What makes an organization leads into it, away from the sample: it comes last. */
const leads = (r) => r.method === 'POST' && r.path === '/organizations';

async function walk(app, chosen) {
	const all = (await routes(app)).filter(chosen);
	const work = [];
	for (const r of all.filter((r) => r.path.includes(process.env.PROBE_ONLY ?? ''))) {
		const path = r.path.replace(/:(\w+)/g, (_, name) => app.ids[name] ?? 'none').replace('*', 'js/app.js');
		// What deletes or signs out is sent with ids that there are not.
		const harmless = r.method === 'GET' ? path : r.path.replace(/:(\w+)/g, (_, name) => (name === 'table' || name === 'snapshot' ? app.ids[name] : 'none')).replace(/^\/snapshots\/[^/]+\/delete$/, '/snapshots/none/delete');
		if (r.method !== 'GET' && (/sign-out|sessions\/end$|\/account\//.test(r.path) || (r.method === 'DELETE' && /:(snapshot|table)$/.test(r.path)))) continue;
		const send = (address, value) => () => app.ask(r.method, address, r.method === 'GET' ? undefined : JSON.stringify({ name: value, where: value, filter: value })).then((a) => judge(`${r.method} ${address.slice(0, 200)}`, a));
		work.push(send(harmless, ''));
		if (r.path.endsWith('/sample')) continue; // each takes 32,000 records; at once with the others, twice is enough
		for (const value of payloads) {
			for (const name of r.query) work.push(send(`${harmless}?${name}=${encodeURIComponent(value)}`, value));
			if (r.path.includes(':')) work.push(send(r.path.replace(/:(\w+)/, encodeURIComponent(value.slice(0, 500))).replace(/:(\w+)/g, (_, name) => app.ids[name] ?? 'none'), value));
			if (r.method !== 'GET') work.push(send(harmless, value));
		}
		if (r.method === 'POST' && !r.path.startsWith('/api/')) for (const value of payloads) work.push(() => app.form(harmless, { name: value, email: value, filter: value, back: value, code: value, password: value, q: value, host: value }).then((a) => judge(`form ${harmless}`, a)));
		for (const [i, value] of sleeps(7).entries()) for (const name of r.method === 'GET' ? r.query : []) work.push(() => asleep(app, `${harmless}?${name}=`, value, sleeps(0)[i]));
	}
	await inTurns(work);
	console.log(`walked ${all.length} addresses with ${app.requests} requests`);
}

/** Tells a database that sleeps from a machine that is slow: the same without the sleep is quick. */
async function asleep(app, address, value, awake) {
	const took = async (v) => {
		const began = Date.now();
		await (await app.ask('GET', address + encodeURIComponent(v))).text();
		return Date.now() - began;
	};
	if ((await took(value)) > 6500 && (await took(awake)) < 3000 && (await took(value)) > 6500) found('the database slept', address);
}

/** Does work four at a time. */
async function inTurns(work) {
	const queue = work.values();
	await Promise.all(Array.from({ length: 4 }, async () => { for (const job of queue) await job().catch((e) => found(`no answer (${e.cause?.message ?? e.name})`, e.address ?? '')); }));
}

async function sqlmap(app) {
	if (process.env.PROBE_SQLMAP === 'no' || spawnSync('sqlmap', ['--version']).error) {
		console.log('sqlmap was not used: it is not installed, or PROBE_SQLMAP=no. The probes above are all that was tried.');
		return;
	}
	const tb = `/snapshots/${app.ids.snapshot}/tables/${app.ids.table}`;
	const column = (await (await app.ask('GET', '/api/v1' + tb)).json()).columns.find((c) => c.type === 'text').id;
	const none = encodeURIComponent('suggested()');
	const targets = [
		[`/api/v1${tb}/records?filter=${none}&sort=${column}&limit=5`],
		[`${tb}?filter=${none}&sort=${column}&find=a`],
		[`/api/v1${tb}/facets?column=${column}&search=a`],
		[`${tb}/facets?column=${column}&search=a`],
		['/audit?act=connected'],
		['/jobs?open=true'],
		['/sign-in', 'email=a%40example.org&password=x&back=%2F']
	];
	const techniques = 'BEU';
	for (const [path, data] of targets) {
		const where = path.replace(/snp_\w+|tbl_\w+/g, '…');
		const look = () => (data ? app.ask('POST', path, data, { 'Content-Type': 'application/x-www-form-urlencoded' }) : app.ask('GET', path));
		const { status } = await look().catch(look); // the app may have closed a connection that was idle
		if (status !== 200 && !data) {
			found(`sqlmap has nothing to try, since it is answered with ${status}`, where);
			continue;
		}
		const args = ['-u', app.base + path, '--cookie', app.cookie, '--batch', '--level=1', '--risk=1', `--technique=${techniques}`, '--dbms=postgresql', '--timeout=20', '--retries=0', '--ignore-code=*', '--flush-session', '--disable-coloring', '--output-dir', join(app.dir, 'sqlmap'), ...(data ? ['--data', data] : [])];
		const run = spawnSync('sqlmap', args, { encoding: 'utf8', timeout: 150_000 });
		const said = run.stdout ?? '';
		if (/is vulnerable|identified the following injection point/.test(said)) found('sqlmap injects', where);
		const nothing = /all tested parameters do not appear to be injectable/.test(said);
		if (!nothing && !run.error) found('sqlmap did not come to its end', `${where}: ${said.trim().split('\n').slice(-4).join(' ').slice(0, 400)}`);
		console.log(`sqlmap ${where}: ${run.error ? 'stopped after two and a half minutes, nothing was injectable so far' : nothing ? 'nothing is injectable' : 'see below'}`);
	}
	console.log(`sqlmap is ${/\d+\.[\d.]+/.exec(spawnSync('sqlmap', ['--version'], { encoding: 'utf8' }).stdout)?.[0]}, level 1, risk 1, techniques ${techniques}, PostgreSQL only`);
}

const app = new App();
try {
	await app.start();
	await walk(app, (r) => !leads(r));
	await sqlmap(app);
	await walk(app, leads);
	if (process.env.PROBE_LOG) writeFileSync(process.env.PROBE_LOG, app.log);
	const errors = app.log.split('\n').filter((line) => /level=ERROR/.test(line));
	for (const line of errors.slice(0, 20)) found('an error in the log', line.slice(0, 400));
} finally {
	await app.stop();
}
for (const text of findings.values()) console.error('FOUND ' + text);
console.log(findings.size ? `${findings.size} things were found` : 'nothing was found');
process.exit(findings.size ? 1 : 0);
