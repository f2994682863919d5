// The live feed: listens, resumes where it left off, and says how far behind the page is.
import {get, signedOut} from './api.js';
import {apply, changed, hearClock, state} from './store.js';

const SILENCE_MS = 40000;
const RETRY_MS = 1500;
const ACTIONS = [
  'alarm_raised', 'alarm_changed', 'alarm_cleared', 'event_opened', 'event_changed', 'event_over',
  'event_acknowledged', 'event_assigned', 'event_note', 'event_closed', 'ticket_opened', 'ticket_over',
  'ticket_acknowledged', 'ticket_note', 'ticket_closed', 'notified', 'notify_failed',
];

let source = null;
let last = null;
let watch = null;
let ready = () => {};

/** Listen until `unlisten`. `begun` is called at the first sign of life, when lists may be read without a gap. */
export function listen(begun) {
  unlisten();
  last = null;
  ready = begun;
  open();
  watch = setInterval(check, 1000);
}

export function unlisten() {
  if (source) source.close();
  clearInterval(watch);
  source = null;
}

function open() {
  if (source) source.close();
  const own = new EventSource(last === null ? '/api/v1/live' : `/api/v1/live?after=${last}`);
  source = own;
  own.addEventListener('heartbeat', (message) => {
    const beat = JSON.parse(message.data);
    heard();
    hearClock(beat.now);
    if (last === null) {
      last = beat.newest;
      ready();
    }
  });
  for (const action of ACTIONS) {
    own.addEventListener(action, (message) => {
      heard();
      last = Number(message.lastEventId);
      apply(JSON.parse(message.data));
    });
  }
  // The browser's own reconnecting knows no id before the first entry: it would begin at "now" and miss what was.
  own.addEventListener('error', () => {
    behind();
    own.close();
    setTimeout(() => reopen(own), RETRY_MS);
  });
}

async function reopen(old) {
  if (old !== source) return;
  let account = state.account;
  try {
    ({account} = await get('/session'));
  } catch {
    // Not reachable yet: the new connection tries, and fails, and comes back here.
  }
  if (old !== source) return;
  if (account === null) signedOut();
  else open();
}

function heard() {
  state.connection = {state: 'live', heard: Date.now()};
  changed();
}

function behind() {
  if (state.connection.state === 'live') state.connection = {...state.connection, state: 'behind'};
  changed();
}

function check() {
  if (state.connection.state === 'live' && Date.now() - state.connection.heard > SILENCE_MS) {
    behind();
    open();
  } else if (state.connection.state !== 'live') {
    changed();
  }
}
