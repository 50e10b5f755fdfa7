// One video: the player, and what there is to know about it.
import {call, get} from './api.js';
import {failure} from './advice.js';
import {$, announce, button, clock, el, encoding, moment, setText, size} from './dom.js';
import {play} from './playback.js';
import {follow, later} from './work.js';
import {timeline} from './timeline.js';
import {upload} from './upload.js';

let close = () => {};

/** leave ends playback and questions. */
export function leave() {
  close();
  close = () => {};
}

/** show opens a video; focus says whether its heading gets the focus, as after a click on a link. */
export async function show(id, focus) {
  leave();
  const view = newView(id);
  let gone = false;
  let stopPlaying = () => {};
  let unfollow = () => {};
  close = () => {
    gone = true;
    unfollow();
    stopPlaying();
    $('player-view').replaceChildren();
  };
  let playing = false;
  let whole = false; // all qualities were there when the playback began, or it was told of them
  let version = 0;
  const update = (video) => {
    if (!video) {
      missing(view);
      return;
    }
    describe(view, video);
    if (video.playback && !playing) {
      playing = true;
      stopPlaying = play(view.stage, view.quality, view.sound, video);
      whole = video.status === 'ready';
    } else if (playing && !whole && video.status === 'ready') {
      whole = true;
      stopPlaying.more?.(video);
    }
    if (playing) stopPlaying.scenes(video); else placeholder(view, video);
    if (version !== video.version) {
      const first = !version;
      version = video.version;
      const events = async () => {
        const history = await get(`/v1/videos/${id}/events`);
        if (!gone) timeline(view.events, history.items);
      };
      if (first) events().catch(() => later(`events of ${id}`, events)); else later(`events of ${id}`, events);
    }
  };
  const track = () => { unfollow = follow(id, update, true); };
  view.encode = async () => {
    await call('POST', `/v1/videos/${id}/transcode`);
    track();
  };
  try {
    const video = await get(`/v1/videos/${id}`);
    if (gone) return;
    update(video);
    if (focus) view.title.focus();
    if (video.status === 'processing' || (video.status === 'ready' && !video.playback?.storyboard)) track();
  } catch (err) {
    if (gone) return;
    if (err.status === 404) missing(view); else if (err.passing) track(); else setText(view.message, err.message);
  }
}

function newView(id) {
  const view = {};
  view.stage = el('div', {className: 'stage'}, el('p', {className: 'soft', textContent: 'Loading …'}));
  view.title = el('h1', {tabIndex: -1});
  view.facts = el('p', {className: 'soft'});
  view.message = el('p', {className: 'bad', role: 'status'});
  view.quality = el('select', {id: 'quality'});
  view.qualityLabel = el('label', {className: 'pick', hidden: true}, 'Quality ', view.quality);
  view.sound = el('select', {id: 'sound'});
  view.soundLabel = el('label', {className: 'pick', hidden: true}, 'Sound ', view.sound);
  view.copy = button('Copy stream address', () => copy(view.copy, `${location.origin}/play/${id}/master.m3u8`));
  view.tools = el('div', {className: 'tools', hidden: true}, view.qualityLabel, view.soundLabel, view.copy, button('Delete', () => remove(id, view)));
  view.tags = el('p', {className: 'tags'});
  view.text = el('p', {className: 'text'});
  view.renditions = el('tbody');
  view.events = el('ol', {className: 'timeline'});
  const head = el('tr', {}, ...['Quality', 'Size', 'Rate', 'State'].map((t) => el('th', {scope: 'col', textContent: t})));
  view.more = el('div', {className: 'columns', hidden: true},
    el('section', {}, el('h2', {textContent: 'Renditions'}), el('table', {}, el('thead', {}, head), view.renditions)),
    el('section', {}, el('h2', {textContent: 'What happened'}), view.events));
  $('player-view').replaceChildren(el('p', {className: 'back'}, el('a', {href: '#/', textContent: '← All videos'})),
    view.stage, view.title, view.facts, view.tags, view.text, view.message, view.tools, view.more);
  return view;
}

function describe(view, video) {
  document.title = `${video.title} – Cinelog`;
  setText(view.title, video.title);
  const {source} = video;
  const state = video.status === 'processing' ? encoding(video) : video.status[0].toUpperCase() + video.status.slice(1);
  setText(view.facts, [state, video.duration && clock(video.duration),
    source && `${size(source.bytes)}${source.video_codec ? ` ${source.video_codec}` : ''}`, moment(video.created_at)].filter(Boolean).join(' · '));
  setText(view.tags, video.tags.map((t) => `#${t}`).join('  '));
  setText(view.text, video.description);
  view.renditions.replaceChildren(...video.renditions.map((r) => el('tr', {},
    el('th', {scope: 'row', textContent: r.name}), el('td', {textContent: `${r.width} × ${r.height}`}),
    el('td', {textContent: r.average_bandwidth ? `${(r.average_bandwidth / 1e6).toFixed(2)} Mb/s` : '–'}),
    el('td', {textContent: r.status}))));
  view.tools.hidden = false;
  view.qualityLabel.hidden = view.copy.hidden = !video.playback;
  view.more.hidden = false;
  view.more.firstElementChild.hidden = !video.renditions.length;
}

/** placeholder stands where the player will be. */
function placeholder(view, video) {
  if (video.status === 'failed') {
    const why = failure(video.error);
    view.stage.replaceChildren(el('h2', {className: 'bad', textContent: why.title}), el('p', {textContent: why.advice}),
      el('p', {className: 'soft', textContent: why.detail}));
    if (why.again) {
      const again = button('Try again', async () => {
        again.disabled = true;
        try { await view.encode(); } catch (err) { setText(view.message, `That did not succeed: ${err.message}`); }
      }, '');
      view.stage.append(again);
    }
    announce(`${why.title}. ${why.advice}`);
    return;
  }
  if (video.status === 'waiting') {
    const file = el('input', {type: 'file', className: 'hidden', id: 'its-file', accept: $('file').accept});
    file.onchange = () => {
      upload(file.files, video);
      location.hash = '#/';
    };
    view.stage.replaceChildren(el('h2', {textContent: 'There is no file yet'}),
      el('p', {className: 'soft', textContent: 'Its upload has not ended. If it was broken off, start it again.'}),
      el('p', {}, file, el('label', {className: 'button', htmlFor: file.id, textContent: 'Choose its file'})));
    return;
  }
  view.bar ||= el('progress', {max: 1, 'aria-label': 'Progress'});
  view.bar.value = video.progress;
  if (!view.bar.isConnected) {
    view.stage.replaceChildren(el('h2', {textContent: 'Being prepared'}), view.bar,
      el('p', {className: 'soft', textContent: 'It plays as soon as its first seconds are encoded.'}));
  }
}

function missing(view) {
  leave();
  $('player-view').replaceChildren(el('p', {className: 'back'}, el('a', {href: '#/', textContent: '← All videos'})),
    el('h1', {textContent: 'There is no such video', tabIndex: -1}), el('p', {className: 'soft', textContent: 'It may have been deleted.'}));
  document.title = 'Not found – Cinelog';
  view.title = null;
  $('player-view').querySelector('h1').focus();
}

async function copy(target, text) {
  const before = target.textContent;
  try {
    await navigator.clipboard.writeText(text);
    target.textContent = 'Copied';
  } catch {
    window.prompt('The address, to copy:', text); // a page that is not served from this machine has no clipboard
    return;
  }
  setTimeout(() => { target.textContent = before; }, 2000);
}

async function remove(id, view) {
  if (!window.confirm(`Delete “${view.title.textContent}” for ever?`)) return;
  try {
    await call('DELETE', `/v1/videos/${id}`);
    location.hash = '#/';
  } catch (err) {
    setText(view.message, `It could not be deleted: ${err.message}`);
  }
}
