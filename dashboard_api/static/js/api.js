// The one way to the daemon's API. Every failure is a Problem with a reason that the texts know.

const BASE = '/api/v1';

export class Problem extends Error {
  constructor(status, {reason = 'internal_error', detail = '', text = null} = {}) {
    super(detail);
    this.text = text; // in both languages, where the daemon has words for it
    this.status = status;
    this.reason = reason;
  }
}

let onSignedOut = () => {};

/** Tell what to do when the session turns out to have ended. */
export function whenSignedOut(action) {
  onSignedOut = action;
}

export const signedOut = () => onSignedOut();

async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(BASE + path, {
      method,
      credentials: 'same-origin',
      headers: body === undefined ? {} : {'Content-Type': 'application/json'},
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    throw new Problem(0, {reason: 'unreachable', detail: String(error)});
  }
  if (answer.status === 204) return null;
  const isJson = (answer.headers.get('Content-Type') || '').includes('json');
  const data = isJson ? await answer.json() : {};
  if (answer.ok) return data;
  if (answer.status === 401 && data.reason === 'not_signed_in') onSignedOut();
  throw new Problem(answer.status, data);
}

export const get = (path, query) => {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query || {})) {
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== '') params.append(key, one);
  }
  const text = params.toString();
  return call('GET', text ? `${path}?${text}` : path);
};
export const post = (path, body) => call('POST', path, body);
export const remove = (path) => call('DELETE', path);
