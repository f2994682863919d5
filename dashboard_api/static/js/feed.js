// The list on the left: grid events in one tab, fault tickets in the other.
import {Badge} from './severity.js';
import {feedEvents, loadOlder, loadTickets, now, state, update} from './store.js';
import {html} from './ui.js';
import {nameOf, quantityName, span, t, timeText} from './words.js';

const SHOWN = 300;

function moveFocus(event) {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  const item = event.target.closest('.item');
  if (!step || !item) return;
  const items = [...event.currentTarget.querySelectorAll('.item')];
  const next = items[items.indexOf(item) + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

const select = (kind, id) => update({selected: {kind, id}});
const isSelected = (kind, id) => state.selected && state.selected.kind === kind && state.selected.id === id;

function EventItem({event}) {
  const waiting = event.state === 'dispatched';
  const age = span(now() - Date.parse(event.opened_at));
  return html`<li>
    <button class=${`item level-${event.severity} ${waiting ? 'waiting' : ''}`} data-event=${event.id}
      aria-current=${isSelected('event', event.id) ? 'true' : null} onClick=${() => select('event', event.id)}>
      <${Badge} level=${event.severity} hollow=${event.state === 'closed'} />
      <span class="what">${t(`category.${event.category}`)}</span>
      <time dateTime=${event.opened_at}>${event.state === 'closed' ? timeText(event.opened_at, now()) : t('ui.ago', {span: age})}</time>
      <span class="where">${nameOf(event.place)}</span>
      <span class="state">${t(`state.${event.state}`)}</span>
      <span class="who">${nameOf(event.line[0].name)}${event.over && event.state !== 'closed'
        ? html` <em>${t('ui.feed.over')}</em>` : ''}</span>
    </button></li>`;
}

function TicketItem({ticket}) {
  const overdue = Date.parse(ticket.due_at) < now();
  return html`<li>
    <button class=${`item fault ${ticket.state === 'open' ? 'waiting' : ''}`} data-fault=${ticket.id}
      aria-current=${isSelected('fault', ticket.id) ? 'true' : null} onClick=${() => select('fault', ticket.id)}>
      <svg class="badge" viewBox="0 0 40 40" aria-hidden="true"><rect x="7" y="7" width="26" height="26" rx="5"
        fill="#f4f5f5" stroke="#23272b" stroke-width="1.6" /><text x="20" y="20" dy="0.36em" text-anchor="middle">!</text></svg>
      <span class="what">${quantityName(ticket.quantity)}</span>
      <time class=${overdue ? 'overdue' : ''} dateTime=${ticket.due_at}>${overdue
        ? t('ui.feed.overdue') : t('ui.feed.due', {time: timeText(ticket.due_at, now())})}</time>
      <span class="where">${nameOf(ticket.place)}</span>
      <span class="state">${t(`state.${ticket.state}`)}</span>
      <span class="who">${ticket.sensor}${ticket.over ? html` <em>${t('ui.feed.over')}</em>` : ''}</span>
    </button></li>`;
}

function Choice({label, value, options, onChange}) {
  return html`<label><span class="hidden-text">${label}</span>
    <select title=${label} value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select></label>`;
}

function Filters({categories}) {
  const set = (patch) => {
    update({filter: {...state.filter, ...patch}, older: null});
    loadOlder(false).catch(() => update({older: {items: [], next: null}}));
  };
  const wide = [...state.grids.values()].filter((grid) => ['district', 'street', 'community'].includes(grid.level));
  const {filter} = state;
  return html`<div class="filters">
    <${Choice} label=${t('ui.filter.state')} value=${filter.state} onChange=${(value) => set({state: value})}
      options=${[['open', t('ui.filter.open')], ['closed', t('state.closed')], ['all', t('ui.filter.all')]]} />
    <${Choice} label=${t('ui.filter.order')} value=${filter.order} onChange=${(value) => update({filter: {...filter, order: value}})}
      options=${['worst', 'newest'].map((key) => [key, t(`ui.filter.${key}`)])} />
    <${Choice} label=${t('ui.filter.category')} value=${filter.category} onChange=${(value) => set({category: value})}
      options=${[['', t('ui.filter.every_category')], ...categories.map((key) => [key, t(`category.${key}`)])]} />
    <${Choice} label=${t('ui.filter.grid')} value=${filter.grid} onChange=${(value) => set({grid: value})}
      options=${[['', t('ui.filter.every_grid')], ...wide.map((grid) => [grid.code, nameOf(grid.name)])]} />
  </div>`;
}

const CATEGORIES = [
  'gas_leak', 'fire', 'care', 'flooding', 'structure_danger', 'electrical', 'intrusion', 'crowd', 'traffic',
  'air_pollution', 'noise', 'water_supply', 'weather',
];

function Events() {
  const found = feedEvents();
  const {filter, older} = state;
  const filtered = filter.state !== 'open' || filter.category || filter.grid;
  const waits = !state.loaded || (filter.state !== 'open' && !older);
  return html`<${Filters} categories=${CATEGORIES} />
    ${found.length === 0 && html`<p class="empty">${
      t(waits ? 'ui.feed.loading' : filtered ? 'ui.feed.none_found' : 'ui.feed.none')}</p>`}
    <ul class="items" aria-label=${t('ui.feed.label')} onKeyDown=${moveFocus}>
      ${found.slice(0, SHOWN).map((event) => html`<${EventItem} key=${event.id} event=${event} />`)}
    </ul>
    ${filter.state !== 'open' && older && older.next
      && html`<button class="quiet wide" onClick=${() => loadOlder(true)}>${t('ui.feed.more')}</button>`}`;
}

function Faults() {
  const found = [...state.tickets.values()].sort((a, b) => Date.parse(a.due_at) - Date.parse(b.due_at) || a.id - b.id);
  return html`${found.length === 0 && html`<p class="empty">${t(state.loaded ? 'ui.feed.no_faults' : 'ui.feed.loading')}</p>`}
    <ul class="items" aria-label=${t('ui.feed.faults_label')} onKeyDown=${moveFocus}>
      ${found.slice(0, SHOWN).map((ticket) => html`<${TicketItem} key=${ticket.id} ticket=${ticket} />`)}
    </ul>
    ${state.moreTickets && html`<button class="quiet wide" onClick=${() => loadTickets(true)}>${t('ui.feed.more')}</button>`}`;
}

export function Feed() {
  const tab = (name, count) => html`<button role="tab" id=${`tab-${name}`} aria-selected=${state.tab === name}
    aria-controls="feed-panel" tabIndex=${state.tab === name ? 0 : -1} onClick=${() => update({tab: name})}>
    ${t(`ui.tab.${name}`)} <b>${count}</b></button>`;
  const turn = (event) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    update({tab: state.tab === 'events' ? 'faults' : 'events'});
    document.getElementById(`tab-${state.tab}`).focus();
  };
  return html`<nav class="feed" id="feed" tabIndex="-1" aria-label=${t(state.tab === 'events' ? 'ui.feed.label' : 'ui.feed.faults_label')}>
    <div role="tablist" onKeyDown=${turn}>${tab('events', state.events.size)}${tab('faults', state.tickets.size)}</div>
    <div role="tabpanel" id="feed-panel" aria-labelledby=${`tab-${state.tab}`}>
      ${state.tab === 'events' ? html`<${Events} />` : html`<${Faults} />`}
    </div>
  </nav>`;
}
