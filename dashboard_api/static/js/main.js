// The command centre's page: signs in, listens, and draws what the store knows.
import {get, whenSignedOut} from './api.js';
import {Detail} from './detail.js';
import {Feed} from './feed.js';
import {isCalm, Notices} from './health.js';
import {listen, unlisten} from './live.js';
import {MapView} from './map.js';
import {severityName} from './severity.js';
import {SignIn} from './signin.js';
import {loadAll, loadHealth, state, subscribe, update} from './store.js';
import {TopBar} from './topbar.js';
import {html, render, useEffect, useState} from './ui.js';
import {currentLanguage, speak, t} from './words.js';

const HEALTH_MS = 5000;
const TROUBLE_MS = 2000; // how often it is asked while something is wrong
const AGES_MS = 5000; // how often "so long ago" is written anew
const AGAIN_MS = 3000;

function begin() {
  loadAll().catch((problem) => {
    if (problem.status !== 401) setTimeout(begin, AGAIN_MS);
  });
}

/** Says aloud, for people who cannot see the screen, that the newest event has come. */
function Announcer() {
  const newest = Math.max(0, ...state.events.keys());
  const [first, setFirst] = useState(null);
  useEffect(() => {
    if (state.loaded && first === null) setFirst(newest);
  }, [state.loaded]);
  const event = state.events.get(newest);
  const words = event && first !== null && newest > first ? t('ui.feed.new', {
    code: event.code, category: t(`category.${event.category}`), severity: severityName(event.severity),
  }) : '';
  return html`<p class="hidden-text" role="status">${words}</p>`;
}

function Centre({onLanguage, onSignedOut}) {
  useEffect(() => {
    listen(begin);
    let health = null;
    const follow = () => {
      health = setTimeout(() => loadHealth().catch(() => null).finally(() => health !== null && follow()),
        state.health && !isCalm(state.health) ? TROUBLE_MS : HEALTH_MS);
    };
    follow();
    const ages = setInterval(() => update({}), AGES_MS);
    return () => {
      unlisten();
      clearTimeout(health);
      health = null;
      clearInterval(ages);
    };
  }, []);
  return html`<div class=${`centre ${state.selected ? 'with-detail' : ''}`}>
    <${TopBar} onLanguage=${onLanguage} onSignedOut=${onSignedOut} />
    <${Notices} />
    <${Feed} />
    <main><${MapView} /></main>
    ${state.selected && html`<${Detail} />`}
    <${Announcer} />
  </div>`;
}

function Page() {
  const [, redraw] = useState(0);
  const [ended, setEnded] = useState(false);
  useEffect(() => subscribe(() => redraw((count) => count + 1)), []);
  const leave = (because) => {
    unlisten();
    setEnded(because);
    update({account: null, selected: null, loaded: false, events: new Map(), tickets: new Map(), older: null, health: null});
  };
  whenSignedOut(() => state.account && leave(true));
  const language = async () => {
    await speak(currentLanguage() === 'zh' ? 'en' : 'zh');
    update({});
  };
  return state.account
    ? html`<${Centre} onLanguage=${language} onSignedOut=${() => leave(false)} />`
    : html`<${SignIn} ended=${ended} onLanguage=${language} onSignedIn=${(account) => update({account})} />`;
}

async function start() {
  await speak();
  const session = await get('/session');
  if (session.account) state.account = session.account;
  render(html`<${Page} />`, document.getElementById('page'));
}

start();
