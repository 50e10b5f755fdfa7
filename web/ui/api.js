// What the page says to the server.
import {$} from './dom.js';

let seen = 0; // position of the newest command of ours: what we read must not be older

/** Problem is an answer that is an error; status 0 when there was no answer. */
export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** passing says that the same question may be answered later. */
  get passing() { return this.status === 0 || this.status === 503; }
}

function problem(body, status) {
  const fields = (body?.errors || []).map((e) => `${e.location}: ${e.message}`).join(', ');
  return new Problem(fields || body?.detail || body?.title || `the server answered ${status}`, status);
}

function note(position) { seen = Math.max(seen, Number(position) || 0); }

/** call returns the answer's JSON. */
export async function call(method, path, body, signal) {
  const headers = {};
  if (body) headers['Content-Type'] = 'application/json';
  if (method === 'GET' && seen) headers['Cinelog-Min-Position'] = String(seen);
  let response;
  try {
    response = await fetch(path, {method, headers, signal, body: body && JSON.stringify(body)});
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    $('away').hidden = false;
    throw new Problem('the server does not answer', 0);
  }
  $('away').hidden = true;
  note(response.headers.get('Cinelog-Position'));
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw problem(answer, response.status);
  return answer;
}

export const get = (path, signal) => call('GET', path, undefined, signal);

/** put sends a file, which fetch could not report the progress of. cancel.now ends it. */
export function put(url, file, cancel, onProgress) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open('PUT', `${url}?filename=${encodeURIComponent(file.name)}`);
    x.setRequestHeader('Content-Type', 'application/octet-stream');
    x.upload.onprogress = (e) => onProgress(e.loaded);
    x.onerror = () => reject(new Problem('the connection was lost', 0));
    x.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    x.onload = () => {
      if (x.status < 300) {
        note(x.getResponseHeader('Cinelog-Position'));
        resolve();
        return;
      }
      let body = null;
      try { body = JSON.parse(x.responseText); } catch { /* an answer of something between us and the server */ }
      reject(problem(body, x.status));
    };
    cancel.now = () => x.abort();
    x.send(file);
  });
}
