// The page: which view is shown, and how files and searches come in.
import {$} from './dom.js';
import * as list from './list.js';
import * as player from './player.js';
import {onUpload, upload} from './upload.js';

// ---- views: #/v/ID is a video, #/?q=WORDS a search, all else the list ----

let scrolled = 0; // how far down the list was when a video was opened
let watched = ''; // the video that is open
let started = false;

function route() {
  const id = location.hash.match(/^#\/v\/([0-9a-f-]{36})$/)?.[1] || '';
  const wasList = !$('list-view').hidden;
  if (id && wasList) scrolled = window.scrollY;
  $('list-view').hidden = Boolean(id);
  $('player-view').hidden = !id;
  if (id) {
    list.leave();
    window.scrollTo(0, 0);
    player.show(id, started);
  } else {
    player.leave();
    const q = new URLSearchParams(location.hash.replace(/^#\/?\??/, '')).get('q') || '';
    if (document.activeElement !== $('q')) $('q').value = q;
    document.title = q ? `${q} – Cinelog` : 'Cinelog';
    list.search(q);
    if (watched) {
      window.scrollTo(0, scrolled);
      if (document.activeElement !== $('q')) document.querySelector(`#videos a[href="#/v/${watched}"]`)?.focus({preventScroll: true});
    }
  }
  watched = id;
  started = true;
}

window.addEventListener('hashchange', route);

// ---- search, while one types ----

let typing = 0;

function searchNow() {
  clearTimeout(typing);
  const q = $('q').value.trim();
  const hash = q ? `#/?${new URLSearchParams({q})}` : '#/';
  if (location.hash === hash) return;
  if ($('list-view').hidden) location.hash = hash; // so that "back" leads to the video again
  else {
    history.replaceState(null, '', hash);
    route();
  }
}

$('q').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(searchNow, 200);
});
$('search').addEventListener('submit', (e) => {
  e.preventDefault();
  searchNow();
});
document.addEventListener('keydown', (e) => {
  if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || e.target.matches('input, select, textarea')) return;
  e.preventDefault();
  $('q').focus();
});

// ---- files, chosen or dropped anywhere ----

onUpload(() => { if (!$('list-view').hidden) list.reload(); });

$('file').addEventListener('change', () => {
  upload([...$('file').files]);
  $('file').value = '';
});

const hasFiles = (e) => e.dataTransfer?.types.includes('Files');
let over = 0; // elements that the file is over: enter and leave come for each
const highlight = () => document.body.classList.toggle('dropping', over > 0);

window.addEventListener('dragenter', (e) => { if (hasFiles(e)) { over++; highlight(); } });
window.addEventListener('dragleave', (e) => { if (hasFiles(e)) { over = Math.max(0, over - 1); highlight(); } });
window.addEventListener('dragover', (e) => { if (hasFiles(e)) { e.preventDefault(); e.dataTransfer.dropEffect = 'copy'; } });
window.addEventListener('drop', (e) => {
  over = 0;
  highlight();
  if (!hasFiles(e)) return;
  e.preventDefault(); // else the browser would open the file in place of the page
  const folders = new Set([...e.dataTransfer.items].map((item, i) => (item.webkitGetAsEntry?.()?.isDirectory ? i : -1)));
  const files = [...e.dataTransfer.files].filter((_, i) => !folders.has(i));
  $('drop-message').textContent = files.length < e.dataTransfer.files.length ? 'Folders cannot be uploaded: open the folder and drop the files in it.' : '';
  if (!files.length) return;
  if ($('list-view').hidden) location.hash = '#/';
  upload(files);
});

document.querySelector('.skip').addEventListener('click', (e) => {
  e.preventDefault(); // the address says which view is shown
  $('main').focus();
});

route();
