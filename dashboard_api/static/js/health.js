// How the system does: what a person on duty must know about it, in words, across the page; the rest behind a button.
import {state} from './store.js';
import {html, useState} from './ui.js';
import {knows, span, t} from './words.js';

const BEHIND_S = 5;
const CATCHING_UP = 1000000; // readings on disk that the store does not have yet
const MOST_LINES = 3;
// The gravest first. The first ones keep alarms from people; the others do not.
const GRAVE = ['core', 'broker', 'spool', 'ledger', 'notify'];
const MILD = ['store', 'dead_letter', 'memory', 'page'];

export const isBehind = (health) => health.behind_seconds > BEHIND_S;
export const isCalm = (health) => health.ok && !isBehind(health);
const partName = (part) => (knows(`ui.part.${part}.name`) ? t(`ui.part.${part}.name`) : part);

function partWords(part) {
  return knows(`ui.part.${part}.bad`) ? t(`ui.part.${part}.bad`) : t('ui.part.other', {part});
}

/** What ails the system, the gravest first: {key, grave, words, spoken}. */
function troubles(health) {
  const found = [];
  if (isBehind(health)) {
    const words = t('ui.lag.behind', {span: span(health.behind_seconds * 1000)});
    found.push({key: 'behind', grave: true, words, spoken: t('ui.lag.short')});
  }
  const bad = Object.keys(health.parts).filter((part) => health.parts[part] !== 'ok');
  const rank = (part) => [...GRAVE, ...MILD, part].indexOf(part);
  for (const part of bad.sort((a, b) => rank(a) - rank(b))) {
    const words = partWords(part);
    found.push({key: part, grave: !MILD.includes(part), words, spoken: words});
  }
  if (health.waiting >= CATCHING_UP && !bad.includes('store')) {
    const words = t('ui.lag.catching_up', {count: health.waiting.toLocaleString('en')});
    found.push({key: 'catching-up', grave: false, words, spoken: t('ui.lag.catching_up_short')});
  }
  return found;
}

/** A strip below the bar for as long as something is wrong; never a word of it by colour alone. */
export function Notices() {
  const found = state.health ? troubles(state.health) : [];
  const shown = found.slice(0, MOST_LINES);
  return html`<section class="notices" aria-label=${t('ui.health.notices')}>
    <p class="hidden-text" role="alert">${found.map((one) => one.spoken).join(' ')}</p>
    ${shown.map(({key, grave, words}) => html`
      <p class=${`notice ${grave ? 'grave' : 'mild'}`} key=${key} data-notice=${key}>
        <i aria-hidden="true">${grave ? '!' : 'i'}</i><span>${words}</span></p>`)}
    ${found.length > shown.length && html`<p class="notice more">
      ${t('ui.health.more', {count: found.length - shown.length})}</p>`}
  </section>`;
}

function Part({part, how}) {
  if (how === 'ok') return html`<dt>${partName(part)}</dt><dd>✓ ${t('ui.part.ok')}</dd>`;
  return html`<dt class="bad">${partName(part)}</dt><dd class="bad">! ${t('ui.part.not_ok')}</dd>
    <dd class="why">${partWords(part)}<code lang="en">${how}</code></dd>`;
}

/** The button in the bar, and the card behind it. */
export function Health() {
  const {health} = state;
  const [shown, show] = useState(false);
  if (!health) return null;
  const how = health.ok ? (isBehind(health) ? 'behind' : 'ok') : 'bad';
  const words = t(`ui.health.${how}`);
  const counters = Object.entries(health.counters).sort(([a], [b]) => (a < b ? -1 : 1));
  return html`<div class="health" onKeyDown=${(event) => event.key === 'Escape' && show(false)}>
    <button class=${`quiet ${how === 'ok' ? '' : 'bad'}`} aria-label=${words} aria-expanded=${shown} onClick=${() => show(!shown)}>
      <span aria-hidden="true">${how === 'ok' ? '✓' : '!'}</span> ${words}</button>
    ${shown && html`<section class="card" aria-label=${t('ui.health.heading')}>
      <h2>${t('ui.health.heading')}</h2>
      <dl class="parts">
        <dt>${t('ui.lag.now')}</dt>
        <dd class=${isBehind(health) ? 'bad' : ''}>${health.behind_seconds < 1 ? t('ui.lag.none') : span(health.behind_seconds * 1000)}</dd>
        <dt>${t('ui.lag.waiting')}</dt><dd>${health.waiting.toLocaleString('en')}</dd>
        ${Object.entries(health.parts).map(([part, state]) => html`<${Part} part=${part} how=${state} />`)}
      </dl>
      <h3>${t('ui.health.counters')}</h3>
      <dl class="counters">${counters.map(([name, count]) => html`
        <dt>${name}</dt><dd>${count.toLocaleString('en')}</dd>`)}</dl>
    </section>`}
  </div>`;
}
