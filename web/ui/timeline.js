// The events of a video, in words. Events of one kind that follow each other are told in one line.
import {clock, el, size} from './dom.js';

const told = {
  created: () => ['Created', ''],
  uploaded: ([d]) => ['File stored', size(d.source.bytes)],
  source_inspected: ([{source: s}]) => ['Inspected', `${s.video_codec} ${s.width} × ${s.height}, ${(s.frame_rate.num / s.frame_rate.den).toFixed(2).replace(/\.?0+$/, '')} frames/s`],
  source_rejected: ([d]) => ['Refused', d.failure.detail],
  transcode_requested: () => ['To be encoded again', ''],
  transcode_planned: (all, plan = all.at(-1).plan) => ['Planned', `${plan.rungs.map((r) => r.name).join(', ')} in ${count(plan.chunks.length, 'chunk')}`],
  chunk_transcoded: (all) => ['Encoded', `chunk ${spans(all.map((d) => d.chunk + 1))}`],
  source_remuxed: (all) => ['Source taken over', all.at(-1).final ? 'to the end' : `part ${spans(all.map((d) => d.part + 1))}`],
  audio_transcoded: (all) => [`Sound${all[0].track ? ` ${all[0].track + 1}` : ''} encoded`,
    all.at(-1).final ? 'to the end' : `part ${spans(all.map((d) => d.part + 1))}`],
  audio_left_out: ([d]) => [`Sound ${d.track + 1} left out`, d.failure.detail],
  poster_produced: () => ['Poster made', ''],
  storyboard_produced: () => ['Preview images made', ''],
  preview_produced: () => ['Moving preview made', ''],
  caption_added: (all) => ['Captions found', all.map((d) => d.label || d.language).join(', ')],
  rendition_produced: (all) => ['Complete', all.map((d) => d.name).join(', ')],
  transcode_failed: ([d]) => ['Failed', d.failure.detail],
  published: () => ['Published', ''],
  unpublished: () => ['Publication taken back', ''],
  details_changed: () => ['Details changed', ''],
  playback_policy_changed: ([d]) => ['Playback', d.playback_policy],
};

/** timeline fills a list with the events of a history. */
export function timeline(list, events) {
  const groups = [];
  for (const event of events) {
    const last = groups.at(-1);
    if (last && last[0].type === event.type && last[0].data.track === event.data.track) last.push(event); else groups.push([event]);
  }
  const start = events.length ? Date.parse(events[0].time) : 0;
  list.replaceChildren(...groups.map((group) => {
    const [first] = group;
    const last = group.at(-1);
    const [title, detail] = words(first.type, group.map((e) => e.data));
    const position = group.length > 1 ? `#${first.position} … #${last.position}` : `#${first.position}`;
    return el('li', {},
      el('time', {dateTime: last.time, textContent: after(Date.parse(last.time) - start)}),
      el('span', {}, el('b', {textContent: title}), detail ? ` ${detail}` : ''),
      el('code', {textContent: `${position} ${first.type}`}));
  }));
}

function words(type, data) {
  const name = type.replace(/^video\./, '').replace(/\.v\d+$/, '');
  try {
    return told[name](data);
  } catch {
    return [name.replaceAll('_', ' '), '']; // an event that is newer than this page
  }
}

function after(ms) {
  if (ms < 60_000) return `+${(ms / 1000).toFixed(2)} s`;
  return `+${clock(ms / 1000)}`;
}

const count = (n, noun) => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** spans writes 1,2,3,5 as "1–3, 5". */
function spans(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const parts = [];
  for (const n of sorted) {
    const last = parts.at(-1);
    if (last && n === last[1] + 1) last[1] = n; else parts.push([n, n]);
  }
  return parts.map(([a, b]) => (a === b ? `${a}` : `${a}–${b}`)).join(', ');
}
