// The bar on top: whose city, what time it is there, whether the page is live, how the daemon does.
import {remove} from './api.js';
import {Health} from './health.js';
import {now, state} from './store.js';
import {html, useEffect, useState} from './ui.js';
import {clockText, nameOf, t} from './words.js';

function useTick(ms) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}

function Clock() {
  useTick(500);
  const at = now();
  return html`<time class="clock" dateTime=${new Date(at).toISOString()} title=${t('ui.clock')}>
    <span class="hidden-text">${t('ui.clock')} </span>${clockText(at)}</time>`;
}

function Connection() {
  useTick(1000);
  const {state: how, heard} = state.connection;
  const seconds = Math.round((Date.now() - heard) / 1000);
  const words = how === 'behind' ? t('ui.behind', {seconds}) : t(how === 'live' ? 'ui.live' : 'ui.connecting');
  return html`<span class=${`connection ${how}`} role="status"><i aria-hidden="true"></i>${words}</span>`;
}

export function TopBar({onLanguage, onSignedOut}) {
  async function leave() {
    await remove('/session').catch(() => null);
    onSignedOut();
  }
  return html`<header class="topbar">
    <a class="skip" href="#feed">${t('ui.skip')}</a>
    <h1><img src="/static/icon.svg" alt="" width="28" height="28" />
      <span>${t('ui.title')}</span>
      ${state.health && html`<small>${nameOf(state.health.city)}</small>`}</h1>
    <div class="status"><${Clock} /><${Connection} /></div>
    <div class="tools"><${Health} />
      <button class="quiet" aria-label=${t('ui.language_label')} onClick=${onLanguage}>${t('ui.language')}</button>
      <button class="quiet" onClick=${leave} title=${state.account}>${t('ui.sign_out')}</button></div>
  </header>`;
}
