// One event or fault ticket: what, where, who, why, what was done, and what can be done.
import {Actions} from './actions.js';
import {get} from './api.js';
import {Chart} from './chart.js';
import {Badge, severityName} from './severity.js';
import {gridPath, now, state, update} from './store.js';
import {html, useEffect, useRef, useState} from './ui.js';
import {judgedBy, measure, nameOf, problemText, quantityName, span, t, timeText} from './words.js';

const READ_AGAIN_MS = 120;
const PATHS = {event: '/events', fault: '/faults'};

/** The chosen case, read again whenever the live feed speaks of it. */
function useCase({kind, id}) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    let wanted = true;
    const timer = setTimeout(() => {
      get(`${PATHS[kind]}/${id}`).then(
        (one) => {
          if (!wanted || !state.selected) return;
          state.selected.alarms = new Set(one.alarms.map((alarm) => alarm.id));
          setFound({kind, ...one});
          setProblem(null);
        },
        (error) => wanted && setProblem(error));
    }, found && found.id === id && found.kind === kind ? READ_AGAIN_MS : 0);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [kind, id, state.changes]);
  return [found && found.id === id && found.kind === kind ? found : null, problem, (one) => setFound({kind, ...one})];
}

function expected(alarm) {
  const [low, high] = Object.values(judgedBy(alarm)).map((bound) => (bound === null ? null : measure(bound, alarm.unit)));
  if (low !== null && high !== null) return t('ui.detail.between', {low, high});
  if (high !== null) return t('ui.detail.at_most', {high});
  return low === null ? null : t('ui.detail.at_least', {low});
}

const alarmTitle = (alarm) => t('ui.detail.alarm_of', {
  quantity: quantityName(alarm.quantity), condition: t(`condition.${alarm.condition}`),
});

function Fact({label, children}) {
  return html`<div><dt>${label}</dt><dd>${children}</dd></div>`;
}

function Alarm({alarm, level, first}) {
  const range = expected(alarm);
  const facts = html`<p class="reason">${nameOf(alarm.reason.text)}</p>
    <dl class="measured">
      <${Fact} label=${t('ui.detail.value')}><strong>${measure(alarm.value, alarm.unit)}</strong><//>
      ${range && html`<${Fact} label=${t('ui.detail.expected')}>${range}<//>`}
      <${Fact} label=${t('ui.detail.when')}>${timeText(alarm.decided_by_reading_at, now())}${' '}
        <span class="soft">${alarm.cleared_at ? t('state.cleared') : t('ui.detail.standing')}</span><//>
      <${Fact} label=${t('ui.detail.sensor')}><span class="code">${alarm.sensor}</span><//>
    </dl>
    <${Chart} alarm=${alarm} level=${level} />`;
  return first ? facts : html`<${Folded} title=${alarmTitle(alarm)}>${facts}<//>`;
}

function Folded({title, children}) {
  const [open, setOpen] = useState(false);
  return html`<div class="folded"><button class="fold" aria-expanded=${open} onClick=${() => setOpen(!open)}>
    <span aria-hidden="true">${open ? '▾' : '▸'}</span> ${title}</button>${open && children}</div>`;
}

/** Whom an entry is about: who was told, who has it now, who had it first. */
function whom(detail) {
  const who = detail.after?.name || detail.responsible?.name || detail.name;
  return who && typeof who === 'object' ? nameOf(who) : '';
}

function Trail({entries}) {
  const name = (actor) => (actor === 'system' ? t('ui.system') : actor);
  return html`<ol class="trail">${[...entries].reverse().map((entry) => {
    const note = entry.detail.text;
    const worker = whom(entry.detail);
    return html`<li key=${entry.id}><time dateTime=${entry.at}>${timeText(entry.at, now())}</time>
      <span><b>${t(`action.${entry.action}`)}</b>${worker && html` <span>${worker}</span>`}
        <span class="soft"> ${name(entry.actor)}</span>${note && html`<q>${note}</q>`}</span></li>`;
  })}</ol>`;
}

function Line({line}) {
  const [first, ...next] = line;
  const role = (who) => html`<span class="soft">${t(`role.${who.role}`)}</span>`;
  return html`<dt>${t('ui.detail.responsible')}</dt><dd><strong>${nameOf(first.name)}</strong> ${role(first)}</dd>
    ${next.length > 0 && html`<dt>${t('ui.detail.next')}</dt>
      <dd>${next.slice(0, 2).map((who) => html`<span class="person">${nameOf(who.name)} ${role(who)}</span>`)}</dd>`}`;
}

function Facts({one}) {
  const isEvent = one.kind === 'event';
  return html`<dl class="facts">
    <${Line} line=${one.line} />
    ${isEvent && html`<dt>${t('ui.detail.department')}</dt>
      <dd>${one.department ? nameOf(one.department.name) : t('ui.detail.no_department')}</dd>`}
    <dt>${t('ui.detail.grid')}</dt><dd>${gridPath(one.grid)}</dd>
    <dt>${t('ui.detail.opened')}</dt><dd>${timeText(one.opened_at, now())}${' '}
      ${one.state !== 'closed' && html`<span class="soft">${t('ui.detail.since_opened', {span: span(now() - Date.parse(one.opened_at))})}</span>`}</dd>
    ${!isEvent && html`<dt>${t('ui.detail.due')}</dt><dd>${timeText(one.due_at, now())}</dd>`}
  </dl>
  ${one.acknowledged_by && html`<p class="done">${
    t('ui.detail.acknowledged_by', {name: one.acknowledged_by, time: timeText(one.acknowledged_at, now())})}</p>`}
  ${one.closed_by && html`<p class="done">${
    t('ui.detail.closed_by', {name: one.closed_by, time: timeText(one.closed_at, now())})}</p>`}`;
}

export function Detail() {
  const {selected} = state;
  const [one, problem, setOne] = useCase(selected);
  const heading = useRef(null);
  const leave = () => {
    const item = document.querySelector(`.item[data-${selected.kind}="${selected.id}"]`);
    update({selected: null});
    if (item) item.focus();
  };
  useEffect(() => {
    if (heading.current) heading.current.focus();
  }, [one && `${one.kind}${one.id}`]);

  const alarms = one ? [...one.alarms].sort((a, b) => a.severity - b.severity || a.id - b.id) : [];
  const level = one && one.kind === 'event' ? one.severity : null;
  return html`<section class="detail" aria-label=${t('ui.detail.label')}
      onKeyDown=${(event) => event.key === 'Escape' && leave()}>
    <button class="back quiet" onClick=${leave} aria-label=${t('ui.detail.close')}>✕</button>
    ${problem && !one && html`<p class="empty" role="alert">${problemText(problem)}</p>`}
    ${one && html`<header>
      ${level && html`<${Badge} level=${level} hollow=${one.state === 'closed'} />`}
      <div><h2 tabIndex="-1" ref=${heading}>${one.kind === 'event' ? t(`category.${one.category}`) : quantityName(one.quantity)}
        ${level && html` <span class="level">${severityName(level)}</span>`}</h2>
        <p>${nameOf(one.place)}</p>
        <p class="soft"><span class="code">${one.code}</span> · ${t(`state.${one.state}`)}${
          one.over && one.state !== 'closed' ? html` · ${t('ui.feed.over')}` : ''}</p></div>
    </header>
    <${Actions} key=${`${one.kind}${one.id}`} one=${one} onChanged=${setOne} />
    <${Facts} one=${one} />
    ${alarms.length > 0 && html`<section class="why"><h3>${t('ui.detail.why')} <span class="which">${alarmTitle(alarms[0])}</span>
        ${alarms.length > 1 && html` <span class="soft">${t('ui.detail.alarms', {count: alarms.length})}</span>`}</h3>
      ${alarms.map((alarm, at) => html`<${Alarm} key=${alarm.id} alarm=${alarm} level=${level} first=${at === 0} />`)}</section>`}
    ${one.trail && html`<section><h3>${t('ui.detail.trail')}</h3><${Trail} entries=${one.trail} /></section>`}`}
  </section>`;
}
