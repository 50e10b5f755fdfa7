'use strict';
// The page: upload, list, search and play. All text from the API goes in as text, never as HTML.

const $ = (id) => document.getElementById(id);
const POLL = 1000; // ms; only while something is in work

function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key in node) node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

async function api(path, options = {}) {
  const response = await fetch(path, options);
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    const why = body && ((body.errors || []).map((e) => `${e.location}: ${e.message}`).join(', ') || body.detail || body.title);
    throw Object.assign(new Error(why || `the server answered ${response.status}`), {status: response.status});
  }
  return {body, position: Number(response.headers.get('Cinelog-Position')) || 0};
}

function post(path, body, method = 'POST') {
  const headers = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  return api(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body)});
}

let seen = 0; // the newest position that a command of ours had: lists must show at least that
function get(path) {
  return api(path, {headers: seen ? {'Cinelog-Min-Position': String(seen)} : {}});
}

function clock(seconds) {
  const s = Math.round(seconds || 0);
  const two = (n) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600);
  return h ? `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

function size(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (bytes >= 1000 && i < units.length - 1) { bytes /= 1000; i++; }
  return `${i ? bytes.toFixed(1) : bytes} ${units[i]}`;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const announce = (text) => { $('announce').textContent = text; };

// ---- upload ----

function put(url, file, onProgress) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open('PUT', `${url}?filename=${encodeURIComponent(file.name)}`);
    x.setRequestHeader('Content-Type', 'application/octet-stream');
    x.upload.onprogress = (e) => { if (e.lengthComputable) onProgress(e.loaded / e.total); };
    x.onerror = () => reject(new Error('the connection was lost'));
    x.onload = () => {
      seen = Math.max(seen, Number(x.getResponseHeader('Cinelog-Position')) || 0);
      if (x.status < 300) return resolve();
      let why = '';
      try { why = JSON.parse(x.responseText).detail; } catch { /* not ours */ }
      reject(new Error(why || `the server answered ${x.status}`));
    };
    x.send(file);
  });
}

async function upload(file) {
  const state = el('span', {className: 'soft', textContent: 'Starting'});
  const bar = el('progress', {max: 1, value: 0});
  bar.setAttribute('aria-label', `Progress of ${file.name}`);
  const line = el('div', {className: 'line'}, el('strong', {textContent: file.name}), state);
  const item = el('li', {}, line, bar);
  $('uploads').append(item);
  try {
    const title = (file.name.replace(/\.[^.]+$/, '').trim() || 'Untitled').slice(0, 200);
    const created = await post('/v1/videos', {title});
    seen = Math.max(seen, created.position);
    await put(created.body.upload.put_url, file, (done) => {
      bar.value = done;
      state.textContent = `Uploading ${Math.floor(done * 100)} %`;
    });
    refresh();
    await follow(created.body.id, state, bar, line);
  } catch (err) {
    state.className = 'bad';
    state.textContent = err.message;
    bar.hidden = true;
    announce(`${file.name}: ${err.message}`);
  }
  refresh();
}

async function follow(id, state, bar, line) {
  let playable = false;
  for (;;) {
    let status;
    try {
      status = (await get(`/v1/videos/${id}/status`)).body;
    } catch (err) {
      if (err.status && err.status !== 503) throw err;
      await sleep(2 * POLL);
      continue;
    }
    if (status.status === 'failed') throw new Error(status.error ? status.error.detail : 'this could not be processed');
    bar.value = status.encoding.progress;
    if (status.encoding.playable && !playable) {
      playable = true;
      line.append(el('a', {href: `#/v/${id}`, textContent: 'Play'}));
      announce('The video can be played now');
      refresh();
    }
    if (status.status === 'ready') {
      state.textContent = 'Ready';
      bar.hidden = true;
      return;
    }
    state.textContent = `${playable ? 'Playable, encoding' : 'Encoding'} ${Math.floor(status.encoding.progress * 100)} %`;
    await sleep(POLL);
  }
}

async function uploadAll(files) {
  for (const f of files) await upload(f);
}

// ---- list and search ----

let query = '';
let cursor = '';
let asked = 0;

function card(v) {
  const thumb = el('div', {className: 'thumb'});
  if (v.playback && v.playback.poster) thumb.append(el('img', {src: v.playback.poster, alt: '', loading: 'lazy'}));
  if (v.duration) thumb.append(el('span', {className: 'badge', textContent: clock(v.duration)}));
  const words = {waiting: 'no file yet', processing: v.playable ? 'playable, encoding' : 'encoding', failed: 'failed', ready: ''};
  const line = el('p', {className: v.status === 'failed' ? 'bad' : ''});
  line.textContent = [words[v.status], new Date(v.created_at).toLocaleDateString()].filter(Boolean).join(' · ');
  return el('li', {}, el('a', {className: 'card', href: `#/v/${v.id}`}, thumb, el('h2', {textContent: v.title}), line));
}

async function list(more) {
  const mine = ++asked;
  const params = new URLSearchParams({limit: '24'});
  if (query) params.set('q', query);
  if (more && cursor) params.set('cursor', cursor);
  try {
    const {body} = await get(`/v1/videos?${params}`);
    if (mine !== asked) return; // a newer question is on its way
    if (!more) $('videos').replaceChildren();
    $('videos').append(...body.items.map(card));
    cursor = body.next_cursor || '';
    $('more').hidden = !cursor;
    $('list-title').textContent = query ? `Results for “${query}”` : 'Videos';
    $('list-message').textContent = $('videos').children.length ? '' : (query ? 'Nothing found.' : 'No videos yet.');
  } catch (err) {
    if (mine === asked) $('list-message').textContent = `The list could not be loaded: ${err.message}`;
  }
}

function refresh() { if (!$('list-view').hidden) list(false); }

// ---- player ----

let playing = null; // {id, stop}

function leavePlayer() {
  if (playing) playing.stop();
  playing = null;
  $('player-view').replaceChildren();
}

function play(video, url) {
  // Chromium says "maybe" to native HLS and then plays it badly, so hls.js comes first.
  if (window.Hls && Hls.isSupported()) {
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, e) => {
      if (!e.fatal) return;
      if (e.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
      else announce('Playback was interrupted');
    });
    hls.loadSource(url);
    hls.attachMedia(video);
    return () => hls.destroy();
  }
  video.src = url;
  return () => { video.removeAttribute('src'); video.load(); };
}

async function showPlayer(id) {
  leavePlayer();
  let stopped = false;
  let stopVideo = () => {};
  playing = {id, stop: () => { stopped = true; stopVideo(); }};
  const view = $('player-view');
  const stage = el('div');
  const about = el('div');
  view.replaceChildren(el('p', {}, el('a', {href: '#/', textContent: '← All videos'})), stage, about);
  let started = false;
  for (;;) {
    let v;
    try {
      v = (await get(`/v1/videos/${encodeURIComponent(id)}`)).body;
    } catch (err) {
      if (stopped) return;
      if (err.status === 404) {
        about.replaceChildren(el('p', {className: 'bad', textContent: 'There is no such video.'}));
        return;
      }
      await sleep(2 * POLL);
      if (stopped) return;
      continue;
    }
    if (stopped) return;
    if (v.playback && !started) {
      started = true;
      const video = el('video', {controls: true, playsInline: true, autoplay: true});
      video.setAttribute('aria-label', v.title);
      if (v.playback.poster) video.poster = v.playback.poster;
      stage.replaceChildren(video);
      stopVideo = play(video, v.playback.hls);
    }
    describe(about, v);
    document.title = `${v.title} – Cinelog`;
    if (v.status !== 'processing') return;
    await sleep(POLL);
    if (stopped) return;
  }
}

let described = '';
function describe(about, v) {
  const now = `${v.id}/${v.version}`;
  if (described === now && about.children.length) return; // leave focus and selection alone
  described = now;
  const facts = [v.status, v.duration && clock(v.duration), v.source && size(v.source.bytes), new Date(v.created_at).toLocaleString()];
  const parts = [
    el('h1', {textContent: v.title}),
    el('p', {className: 'soft', textContent: facts.filter(Boolean).join(' · ')}),
  ];
  if (v.error) parts.push(el('p', {className: 'bad', textContent: `${v.error.code}: ${v.error.detail}`}));
  if (v.tags.length) parts.push(el('p', {className: 'tags'}, ...v.tags.map((t) => el('span', {textContent: t}))));
  if (v.description) parts.push(el('p', {className: 'text', textContent: v.description}));
  if (v.renditions.length) {
    const rows = v.renditions.map((r) => el('tr', {},
      el('td', {textContent: r.name}), el('td', {textContent: `${r.width} × ${r.height}`}),
      el('td', {textContent: r.average_bandwidth ? `${(r.average_bandwidth / 1e6).toFixed(2)} Mb/s` : ''}),
      el('td', {textContent: r.status})));
    const head = el('tr', {}, ...['Rendition', 'Size', 'Rate', 'State'].map((t) => el('th', {scope: 'col', textContent: t})));
    parts.push(el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows)));
  }
  const remove = el('button', {className: 'button plain', textContent: 'Delete this video'});
  remove.onclick = async () => {
    if (!confirm(`Delete “${v.title}” for ever?`)) return;
    try {
      seen = Math.max(seen, (await post(`/v1/videos/${v.id}`, undefined, 'DELETE')).position);
      location.hash = '#/';
    } catch (err) {
      announce(err.message);
      alert(err.message);
    }
  };
  parts.push(el('p', {}, remove));
  about.replaceChildren(...parts);
}

// ---- start ----

function route() {
  const match = location.hash.match(/^#\/v\/([0-9a-f-]{36})$/);
  $('list-view').hidden = Boolean(match);
  $('player-view').hidden = !match;
  if (match) {
    showPlayer(match[1]);
  } else {
    leavePlayer();
    document.title = 'Cinelog';
    list(false);
  }
}

let typing;
$('q').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    query = $('q').value.trim();
    if ($('list-view').hidden) location.hash = '#/'; else list(false);
  }, 250);
});
$('search').addEventListener('submit', (e) => e.preventDefault());
$('more').addEventListener('click', () => list(true));
$('file').addEventListener('change', () => { uploadAll([...$('file').files]); $('file').value = ''; });
const drop = $('drop');
for (const name of ['dragenter', 'dragover']) {
  drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.add('over'); });
}
for (const name of ['dragleave', 'drop']) {
  drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.remove('over'); });
}
drop.addEventListener('drop', (e) => uploadAll([...e.dataTransfer.files]));
// A file dropped beside the box must not replace the page.
for (const name of ['dragover', 'drop']) window.addEventListener(name, (e) => e.preventDefault());
document.querySelector('.skip').addEventListener('click', (e) => { e.preventDefault(); $('main').focus(); });
window.addEventListener('hashchange', route);
route();
