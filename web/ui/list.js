// The list of videos, newest first, or what a search found.
import {get} from './api.js';
import {failure} from './advice.js';
import {$, clock, day, el, encoding, percent, setText, size} from './dom.js';
import {follow, later} from './work.js';

const PAGE = 24;
const LARGEST = 100; // that one answer may have

const cards = new Map(); // by id, as they stand in the list
let query = '';
let cursor = '';
let question = new AbortController();

/** search asks for videos that match, all where q is empty. */
export function search(q) {
  query = q;
  reload();
}

/** reload asks again, for as many as are shown. */
export function reload() { load().catch(failed); }

/** leave ends the questions about videos in work while another view is shown. */
export function leave() {
  question.abort();
  for (const card of cards.values()) unfollow(card);
}

async function load(more = false) {
  question.abort();
  question = new AbortController();
  const shown = more ? PAGE : Math.min(LARGEST, Math.max(PAGE, cards.size));
  const params = new URLSearchParams({limit: String(shown)});
  if (query) params.set('q', query);
  if (more && cursor) params.set('cursor', cursor);
  const answer = await get(`/v1/videos?${params}`, question.signal);
  place(answer.items, more);
  cursor = answer.next_cursor || '';
  $('more').hidden = !cursor;
  say();
}

function failed(err) {
  if (err.name === 'AbortError') return;
  setText($('list-message'), `The list could not be loaded: ${err.message}.`);
  if (!err.passing) return;
  later('list', async () => {
    if ($('list-view').hidden) return;
    try {
      await load();
    } catch (again) {
      failed(again);
      throw again; // so that the next question comes later
    }
  });
}

function say() {
  setText($('list-title'), query ? `Results for “${query}”` : 'Videos');
  const count = cards.size;
  $('list-view').classList.toggle('empty', !count && !query);
  let text = '';
  if (query) text = count ? `${count}${cursor ? ' or more' : ''} found.` : 'Nothing found. Every word must be the beginning of a word in the title, the description or the tags.';
  else if (!count) text = 'No videos yet. Choose one above, or drop it anywhere on this page.';
  setText($('list-message'), text);
}

/** place puts videos into the list in their order. Cards that are there already stay, with the focus that they may have. */
function place(videos, more) {
  const list = $('videos');
  const wanted = new Set(videos.map((v) => v.id));
  for (const [id, card] of cards) if (!more && !wanted.has(id)) remove(id, card);
  let before = more ? null : list.firstElementChild;
  for (const video of videos) {
    let card = cards.get(video.id);
    if (!card) {
      card = newCard(video.id);
      cards.set(video.id, card);
    }
    if (card.li === before) before = before.nextElementSibling;
    else list.insertBefore(card.li, before);
    update(card, video);
  }
}

function remove(id, card) {
  unfollow(card);
  card.li.remove();
  cards.delete(id);
}

function unfollow(card) {
  card.unfollow?.();
  card.unfollow = null;
}

function newCard(id) {
  const card = {unfollow: null};
  card.image = el('img', {alt: '', loading: 'lazy', hidden: true});
  card.length = el('span', {className: 'badge length'});
  card.state = el('span', {className: 'badge state'});
  card.bar = el('progress', {max: 1, 'aria-hidden': 'true'});
  card.title = el('h2');
  card.meta = el('p', {className: 'soft'});
  card.tags = el('p', {className: 'tags'});
  preview(card);
  const thumb = el('div', {className: 'thumb'}, card.image, card.state, card.length, card.bar);
  thumb.onpointerenter = card.start;
  thumb.onpointerleave = card.stop;
  card.li = el('li', {}, el('a', {className: 'card', href: `#/v/${id}`}, thumb, card.title, card.meta, card.tags));
  return card;
}

/** preview shows a card's moving preview while it is pointed at, where people do not mind what moves. */
function preview(card) {
  const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
  const still = () => { if (card.poster && card.image.getAttribute('src') !== card.poster) card.image.src = card.poster; };
  card.image.onerror = () => { card.moving = ''; still(); };
  card.start = () => { if (card.moving && !calm.matches) card.image.src = card.moving; };
  card.stop = still;
}

function update(card, video) {
  card.poster = video.playback?.poster || '';
  card.moving = video.playback?.preview || '';
  card.image.hidden = !card.poster;
  if (card.image.getAttribute('src') !== card.moving) card.stop();
  setText(card.title, video.title);
  setText(card.length, video.duration ? clock(video.duration) : '');
  setText(card.state, stateOf(video));
  card.li.dataset.status = video.status;
  card.li.toggleAttribute('data-playable', video.playable);
  card.bar.hidden = video.status !== 'processing';
  card.bar.value = video.progress;
  const why = video.status === 'failed' ? failure(video.error).title : '';
  setText(card.meta, why || [day(video.created_at), video.source && size(video.source.bytes)].filter(Boolean).join(' · '));
  setText(card.tags, video.tags.slice(0, 4).map((tag) => `#${tag}`).join('  '));
  if (video.status === 'processing') {
    card.unfollow ||= follow(video.id, (now, last) => {
      if (!now) {
        remove(video.id, card);
        return;
      }
      if (last) card.unfollow = null;
      update(card, now);
    }, true);
  } else if (video.status !== 'ready' || video.playback?.storyboard) {
    unfollow(card);
  }
}

function stateOf(video) {
  switch (video.status) {
    case 'waiting': return 'No file yet';
    case 'failed': return 'Failed';
    case 'processing': return video.playable ? `Playable · ${percent(video.progress)}` : encoding(video);
    default: return video.published ? '' : 'Not published';
  }
}

$('more').addEventListener('click', async () => {
  const last = $('videos').lastElementChild;
  await load(true).catch(failed);
  last?.nextElementSibling?.querySelector('a').focus();
});
