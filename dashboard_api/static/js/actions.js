// What can be done with a case: accept with one click, give to somebody else, note, close.
import {get, post} from './api.js';
import {putEvent, putTicket, update, state} from './store.js';
import {focused, html, useEffect, useState} from './ui.js';
import {nameOf, problemText, t} from './words.js';

function AssignForm({one, onSend, onCancel}) {
  const [people, setPeople] = useState([]);
  const [worker, setWorker] = useState('');
  const [problem, setProblem] = useState('');
  useEffect(() => {
    get('/people', {grid: one.grid.code}).then(({items}) => setPeople(items), (error) => setProblem(problemText(error)));
  }, [one.id]);
  const send = (event) => {
    event.preventDefault();
    onSend('assign', {worker});
  };
  return html`<form class="act-form" onSubmit=${send}>
    <label>${t('ui.do.assign_to')}
      <select required ref=${focused} value=${worker} onChange=${(event) => setWorker(event.target.value)}>
        <option value="">${t('ui.do.choose_person')}</option>
        ${people.map((person) => html`<option value=${person.worker}>${nameOf(person.name)}${
          person.duties[0] ? ` · ${t(`role.${person.duties[0].role}`)}` : ''}${
          person.on_duty ? ` · ${t('ui.do.on_duty')}` : ''}</option>`)}
      </select></label>
    ${problem && html`<p class="wrong" role="alert">${problem}</p>`}
    <div class="buttons"><button>${t('ui.do.assign')}</button>
      <button type="button" class="quiet" onClick=${onCancel}>${t('ui.do.cancel')}</button></div>
  </form>`;
}

function TextForm({label, submit, field, path, required, onSend, onCancel}) {
  const send = (event) => {
    event.preventDefault();
    onSend(path, {[field]: new FormData(event.target).get('text')});
  };
  return html`<form class="act-form" onSubmit=${send}>
    <label>${label}<textarea name="text" rows="3" maxLength="2000" required=${required} ref=${focused}
      placeholder=${t('ui.do.note_placeholder')}></textarea></label>
    <div class="buttons"><button>${submit}</button>
      <button type="button" class="quiet" onClick=${onCancel}>${t('ui.do.cancel')}</button></div>
  </form>`;
}

export function Actions({one, onChanged}) {
  const [form, setForm] = useState('');
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState('');
  if (one.state === 'closed') return null;
  const isEvent = one.kind === 'event';

  async function send(path, body) {
    setBusy(true);
    setRefused('');
    try {
      const answer = await post(`${isEvent ? '/events' : '/faults'}/${one.id}/${path}`, body);
      onChanged(answer);
      setForm('');
      if (isEvent) putEvent(answer);
      else putTicket(answer);
    } catch (problem) {
      setRefused(t('ui.do.refused', {reason: problemText(problem)}));
      state.changes += 1; // somebody else was quicker: show how it stands
    }
    setBusy(false);
    update({});
  }

  const waits = one.state === 'dispatched' || one.state === 'open';
  const cancel = () => setForm('');
  const open = (name) => html`<button class="quiet" aria-expanded=${form === name} disabled=${busy}
    onClick=${() => setForm(form === name ? '' : name)}>${t(name === 'close' && !isEvent ? 'ui.do.close_fault' : `ui.do.${name}`)}</button>`;
  return html`<div class="actions">
    ${waits && html`<button class="main" disabled=${busy} onClick=${() => send('acknowledge')}>
      ${t(isEvent ? 'ui.do.acknowledge' : 'ui.do.acknowledge_fault')}</button>`}
    <div class="buttons">${isEvent && open('assign')}${isEvent && open('note')}${open('close')}</div>
    ${form === 'assign' && html`<${AssignForm} one=${one} onSend=${send} onCancel=${cancel} />`}
    ${form === 'note' && html`<${TextForm} label=${t('ui.do.note_label')} submit=${t('ui.do.save_note')} field="text"
      path="note" required=${true} onSend=${send} onCancel=${cancel} />`}
    ${form === 'close' && html`<${TextForm} label=${t('ui.do.close_note')} submit=${t('ui.do.confirm_close')} field="note"
      path="close" onSend=${send} onCancel=${cancel} />`}
    <p class="wrong" role="alert">${refused}</p>
  </div>`;
}
