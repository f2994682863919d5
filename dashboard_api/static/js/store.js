// What the page knows, and who wants to hear when it changes.
import {get} from './api.js';
import {nameOf, useZone} from './words.js';

const OPEN_LIMIT = 2000;

export const state = {
  account: null,
  events: new Map(), // open events by id
  older: null, // {items, next} of a query that is not "open", or null
  tickets: new Map(),
  moreTickets: null,
  grids: new Map(), // properties by code
  shapes: null, // GeoJSON, once
  health: null,
  filter: {state: 'open', category: '', grid: '', order: 'worst'},
  tab: 'events',
  selected: null, // {kind: 'event' | 'fault', id, alarms: ids of its alarms once they are read}
  changes: 0, // counts live messages about the selected case
  loaded: false,
  connection: {state: 'connecting', heard: Date.now()},
};

const listeners = new Set();

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function changed() {
  for (const listener of listeners) listener();
}

export function update(patch) {
  Object.assign(state, patch);
  changed();
}

// The daemon's clock: it may be a replay's, so its pace is learned from what it says.
const clock = {at: Date.now(), heard: performance.now(), pace: 1};

export function hearClock(iso) {
  const at = Date.parse(iso);
  const heard = performance.now();
  const real = heard - clock.heard;
  if (real > 2000) {
    clock.pace = state.loaded ? Math.max(0, (at - clock.at) / real) : 1;
    if (Math.abs(clock.pace - 1) < 0.1) clock.pace = 1;
  }
  if (real > 2000 || at > now() || !state.loaded) Object.assign(clock, {at, heard});
}

export const now = () => clock.at + (performance.now() - clock.heard) * clock.pace;

export function byWorst(a, b) {
  const waiting = (event) => (event.state === 'closed' ? 1 : 0);
  return waiting(a) - waiting(b) || a.severity - b.severity || b.id - a.id;
}

function inGrid(code, wanted) {
  for (let node = code; node; node = state.grids.get(node)?.parent) if (node === wanted) return true;
  return false;
}

/** The events of the feed, filtered and in order. */
export function feedEvents() {
  const {category, grid, order} = state.filter;
  const all = state.filter.state === 'open' ? [...state.events.values()] : state.older ? state.older.items : [];
  const found = all.filter(
    (event) => (!category || event.category === category) && (!grid || inGrid(event.grid.code, grid)));
  return found.sort(order === 'worst' ? byWorst : (a, b) => b.id - a.id);
}

// Live messages that came while a list was on its way. The list may be older than they are, so they are put in again
// once it has taken its place; until then they show as they come.
let listsOnTheirWay = 0;
let meanwhile = [];

async function reading(list) {
  listsOnTheirWay += 1;
  try {
    return await list();
  } finally {
    listsOnTheirWay -= 1;
    meanwhile.forEach(put);
    if (listsOnTheirWay === 0) meanwhile = [];
    changed();
  }
}

async function openEvents() {
  const found = new Map();
  let before = null;
  do {
    const page = await get('/events', {state: ['dispatched', 'accepted'], limit: 500, before});
    for (const event of page.items) found.set(event.id, event);
    before = page.next_before;
  } while (before && found.size < OPEN_LIMIT);
  return found;
}

export const loadTickets = (more) => reading(async () => {
  const page = await get('/faults', {
    state: ['open', 'acknowledged'], limit: 200, before: more ? state.moreTickets : null,
  });
  const tickets = more ? new Map(state.tickets) : new Map();
  for (const ticket of page.items) tickets.set(ticket.id, ticket);
  update({tickets, moreTickets: page.next_before});
});

/** Events of a filter that is not "open", a page at a time. */
export const loadOlder = (more) => reading(async () => {
  const {state: wanted, category, grid} = state.filter;
  if (wanted === 'open') return;
  const page = await get('/events', {
    state: wanted === 'closed' ? ['closed'] : [], category, grid, limit: 100,
    before: more && state.older ? state.older.next : null,
  });
  const items = more && state.older ? [...state.older.items, ...page.items] : page.items;
  update({older: {items, next: page.next_before}});
});

export async function loadGrids() {
  const collection = await get('/grids', {geometry: state.shapes === null});
  const grids = new Map(collection.features.map((feature) => [feature.id, feature.properties]));
  update(state.shapes === null ? {grids, shapes: collection} : {grids});
}

export async function loadHealth() {
  const health = await get('/health');
  useZone(health.time_zone);
  hearClock(health.now);
  update({health});
}

/** Everything the page begins with; called when the live feed stands, so that nothing falls between. */
export const loadAll = () => reading(async () => {
  const parts = await Promise.allSettled([openEvents(), loadTickets(false), loadGrids(), loadHealth()]);
  const failed = parts.find((part) => part.status === 'rejected');
  if (failed) throw failed.reason;
  update({events: parts[0].value, loaded: true});
});

let gridsTimer = null;

function gridsSoon() {
  if (gridsTimer === null) {
    gridsTimer = setTimeout(() => {
      gridsTimer = null;
      loadGrids().catch(() => gridsSoon());
    }, 700 + 800 * Math.random()); // not all pages at once
  }
}

/** Put one message of the live feed into what the page knows. */
export function apply(message) {
  const {entry, event, ticket} = message;
  put(message);
  if (listsOnTheirWay > 0) meanwhile.push(message);
  const {selected} = state;
  const touches = selected && ((entry.subject === 'alarm' && selected.alarms?.has(entry.subject_id))
    || (event && selected.kind === 'event' && selected.id === event.id)
    || (ticket && selected.kind === 'fault' && selected.id === ticket.id));
  if (touches) state.changes += 1;
  changed();
}

function put({event, ticket}) {
  if (event) putEvent(event);
  if (ticket) putTicket(ticket);
}

export function putEvent(event) {
  if (event.state === 'closed') state.events.delete(event.id);
  else state.events.set(event.id, event);
  if (state.older) {
    const at = state.older.items.findIndex((one) => one.id === event.id);
    const fits = state.filter.state === 'all' || event.state === 'closed';
    if (at >= 0) state.older.items[at] = event;
    else if (fits) state.older.items.unshift(event);
  }
  gridsSoon();
}

export function putTicket(ticket) {
  if (ticket.state === 'closed') state.tickets.delete(ticket.id);
  else state.tickets.set(ticket.id, ticket);
}

/** The worst open event of each grid, at once; where there are more open events than the page holds, as last read. */
export function worstByGrid() {
  if (state.events.size >= OPEN_LIMIT) {
    return new Map([...state.grids.values()].map((grid) => [grid.code, grid.worst]));
  }
  const worst = new Map();
  for (const {grid: {code}, severity} of state.events.values()) {
    worst.set(code, Math.min(severity, worst.get(code) ?? severity));
  }
  return worst;
}

/** "Street, community, grid" in the chosen language; the district too, where the city has more than one. */
export function gridPath(grid) {
  const tops = [...state.grids.values()].filter((one) => !one.parent).length;
  const path = [...grid.path, grid.name].map(nameOf);
  return (tops === 1 && path.length > 1 ? path.slice(1) : path).join(' · ');
}
