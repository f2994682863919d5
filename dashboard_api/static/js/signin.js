// Signing in.
import {get, post} from './api.js';
import {focused, html, useState} from './ui.js';
import {problemText, t} from './words.js';

export function SignIn({ended, onSignedIn, onLanguage}) {
  const [wrong, setWrong] = useState(ended ? t('ui.sign_in.ended') : '');
  const [busy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    try {
      await post('/session', {name: form.get('name'), password: form.get('password')});
      onSignedIn((await get('/session')).account);
    } catch (problem) {
      setBusy(false);
      if (problem.reason === 'wrong_password') setWrong(t('ui.sign_in.wrong'));
      else if (problem.reason === 'unreachable') setWrong(t('ui.sign_in.failed'));
      else setWrong(problemText(problem));
    }
  }

  return html`<main class="sign-in">
    <form class="card" onSubmit=${submit}>
      <img src="/static/icon.svg" alt="" width="44" height="44" />
      <h1>${t('ui.sign_in.heading')}</h1>
      <label>${t('subject.account')}
        <input name="name" autocomplete="username" required ref=${focused} spellcheck="false" autocapitalize="none" /></label>
      <label>${t('ui.sign_in.password')}
        <input name="password" type="password" autocomplete="current-password" required /></label>
      <p class="wrong" role="alert">${wrong}</p>
      <button class="main" disabled=${busy}>${t('ui.sign_in.submit')}</button>
      <button type="button" class="quiet" aria-label=${t('ui.language_label')} onClick=${onLanguage}>
        ${t('ui.language')}</button>
    </form>
  </main>`;
}
