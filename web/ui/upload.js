// Files on their way: one row each, from the choice to the video that can be watched. One file is sent at a time, while
// those before it are being encoded.
import {call, put} from './api.js';
import {failure} from './advice.js';
import {$, announce, button, el, encoding, percent, setText, size} from './dom.js';
import {follow} from './work.js';

let turn = Promise.resolve();
let open = 0; // files that are lost when the page is closed now
let changed = () => {};

/** onUpload sets what is called when there is another video. */
export function onUpload(then) { changed = then; }

/** upload sends files, each as a new video, or one as the file of a video that waits for it. */
export function upload(files, video = null) {
  for (const file of files) {
    const row = newRow(file);
    row.video = video;
    open++;
    turn = turn.then(() => send(row)).finally(() => open--);
  }
}

function newRow(file) {
  const row = {file, video: null, dropped: false, cancel: {now() {}}, look: ''};
  row.name = el('strong', {textContent: file.name});
  row.state = el('span', {className: 'soft'});
  row.bar = el('progress', {max: 1, value: 0, 'aria-label': `Progress of ${file.name}`});
  row.why = el('div', {className: 'why', hidden: true});
  row.actions = el('span', {className: 'actions'});
  row.li = el('li', {}, el('div', {className: 'line'}, row.name, row.state, row.actions), row.bar, row.why);
  $('uploads').append(row.li);
  show(row, 'waiting', 'Waits for its turn', 0, [button('Cancel', () => cancel(row))]);
  return row;
}

/** show changes what the row says; its buttons only with its look, so that they keep the focus. */
function show(row, look, text, progress, actions) {
  setText(row.state, text);
  row.bar.hidden = progress === null;
  if (progress !== null) row.bar.value = progress;
  if (row.look === look) return;
  const focused = row.actions.contains(document.activeElement);
  row.look = look;
  row.li.dataset.look = look;
  row.why.hidden = true;
  row.actions.replaceChildren(...actions);
  if (focused) (actions[0] || $('file')).focus();
}

async function send(row) {
  if (row.dropped) return;
  try {
    const {file} = row;
    if (!row.video) {
      const title = Array.from(file.name.replace(/\.[^.]+$/, '').trim() || 'Untitled').slice(0, 200).join('');
      row.video = await call('POST', '/v1/videos', {title});
    }
    const progress = (sent) => show(row, 'sending', `Uploading ${percent(sent / file.size)} of ${size(file.size)}`, sent / (file.size || 1),
      [button('Cancel', () => cancel(row))]);
    progress(0);
    await put(`/v1/videos/${row.video.id}/source`, file, row.cancel, progress);
    show(row, 'sent', 'Uploaded, waits to be encoded', 0, []);
    follow(row.video.id, (video) => followed(row, video));
    changed();
  } catch (err) {
    if (err.name === 'AbortError') return;
    const actions = [button('Try again', () => again(row), ''), button('Remove', () => cancel(row))];
    show(row, 'broken', 'Not uploaded', null, actions);
    explain(row, 'The upload did not succeed', err.message, err.passing ? 'Check that the server runs, then try again.' : '');
  }
}

function again(row) {
  open++;
  turn = turn.then(() => send(row)).finally(() => open--);
}

async function cancel(row) {
  row.dropped = true;
  row.cancel.now();
  row.li.remove();
  $('file').focus();
  if (!row.video) return;
  await call('DELETE', `/v1/videos/${row.video.id}`).catch(() => { /* it stays, as a video that waits for its file */ });
  changed();
}

function followed(row, video) {
  if (!video) {
    row.li.remove();
    return;
  }
  const dismiss = button('Dismiss', () => { row.li.remove(); $('file').focus(); });
  const watch = el('a', {className: 'button', href: `#/v/${video.id}`, textContent: 'Watch'});
  if (video.status === 'failed') {
    const why = failure(video.error);
    const actions = [button('Remove', () => cancel(row))];
    if (why.again) actions.unshift(button('Try again', () => encodeAgain(row), ''));
    show(row, 'failed', 'Failed', null, actions);
    explain(row, why.title, why.detail, why.advice);
  } else if (video.status === 'ready') {
    if (row.look !== 'playable') announce(`${video.title} can be watched now`);
    show(row, 'ready', 'Ready', null, [watch, dismiss]);
  } else if (video.playable) {
    if (row.look !== 'playable') announce(`${video.title} can be watched now, while the rest is encoded`);
    show(row, 'playable', `Can be watched, encoding ${percent(video.progress)}`, video.progress, [watch]);
  } else {
    show(row, 'encoding', encoding(video), video.progress, []);
  }
}

async function encodeAgain(row) {
  show(row, 'sent', 'Tries again', 0, []);
  try {
    await call('POST', `/v1/videos/${row.video.id}/transcode`);
    follow(row.video.id, (video) => followed(row, video));
  } catch (err) {
    show(row, 'failed', 'Failed', null, [button('Remove', () => cancel(row))]);
    explain(row, 'Trying again did not succeed', err.message, '');
  }
}

function explain(row, title, detail, advice) {
  row.why.hidden = false;
  row.why.replaceChildren(el('p', {}, el('b', {textContent: `${title}. `}), advice), el('p', {className: 'soft', textContent: detail}));
  announce(`${row.file.name}: ${title}. ${advice}`);
}

window.addEventListener('beforeunload', (e) => { if (open) e.preventDefault(); });
