// Playing with hls.js, and the choice of the quality and the sound. Chromium says "maybe" to native HLS and then plays it badly, so
// hls.js comes first where it works.
import {tell} from './beacons.js';
import {announce, button, el} from './dom.js';
import {seekStrip} from './storyboard.js';

/** play puts a player on the stage and returns a function that takes it away, and has others: scenes shows them, as soon as they are there. */
export function play(stage, quality, sound, video) {
  const element = el('video', {controls: true, playsInline: true, autoplay: true, 'aria-label': video.title});
  const [shape] = video.renditions;
  if (shape) element.style.aspectRatio = `${shape.width} / ${shape.height}`; // so that nothing moves when it loads
  if (video.playback.poster) element.poster = video.playback.poster;
  const trouble = el('p', {className: 'trouble bad', role: 'alert', hidden: true});
  const strip = seekStrip(element);
  stage.replaceChildren(element, strip.list, trouble);
  const {Hls} = window;
  if (!Hls?.isSupported()) {
    const told = tell(element, video, () => '');
    element.addEventListener('error', () => told.failed(['', 'other', 'network', 'decode', 'unsupported'][element.error?.code] || 'other'));
    element.src = video.playback.hls;
    quality.parentElement.remove();
    sound.parentElement.remove();
    const end = () => { told(); element.removeAttribute('src'); element.load(); };
    end.scenes = strip.show;
    return end;
  }
  const hls = new Hls();
  let shown = null; // the level that is seen; before the first picture, the one that is loaded
  const told = tell(element, video, () => {
    const level = hls.levels[shown ?? hls.loadLevel];
    return level ? nameOf(level) : '';
  });
  hls.on(Hls.Events.MANIFEST_PARSED, () => choices(hls, quality));
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, {level}) => {
    told.switching();
    shown = level;
    quality.options[0].textContent = hls.autoLevelEnabled ? `Auto (${nameOf(hls.levels[level])})` : 'Auto';
  });
  soundChoices(hls, sound, video);
  let mended = -Infinity;
  hls.on(Hls.Events.ERROR, (_, error) => {
    if (!error.fatal) return;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - mended > 10_000) {
      mended = performance.now();
      hls.recoverMediaError();
      return;
    }
    console.error('playback:', error.type, error.details);
    told.failed({[Hls.ErrorTypes.NETWORK_ERROR]: 'network', [Hls.ErrorTypes.MEDIA_ERROR]: 'decode'}[error.type] || 'other');
    const again = button('Try again', () => {
      trouble.hidden = true;
      reload();
      hls.once(Hls.Events.MANIFEST_PARSED, () => { element.play().catch(() => { /* the person will */ }); });
    }, '');
    trouble.replaceChildren(error.type === Hls.ErrorTypes.NETWORK_ERROR
      ? 'Playback stopped: the video could not be loaded. ' : 'Playback stopped: this browser could not play it. ', again);
    trouble.hidden = false;
    announce('Playback stopped');
  });
  hls.loadSource(video.playback.hls);
  hls.attachMedia(element);
  const reload = () => {
    const at = element.currentTime;
    told.switching();
    shown = null;
    hls.loadSource(video.playback.hls);
    hls.once(Hls.Events.MANIFEST_PARSED, () => hls.startLoad(at));
  };
  const stop = () => {
    told();
    hls.destroy();
  };
  stop.scenes = strip.show;
  /**
   * more says that the video is complete: a source that was played as it is has other qualities by then, and other tracks of
   * sound. They are loaded when somebody wants to choose, or when the network is too slow for this quality; until then nothing
   * disturbs the playback.
   */
  stop.more = (complete) => {
    const tracks = complete.audio.filter((a) => a.status === 'encoded').length;
    if (hls.levels.length >= complete.renditions.length && hls.audioTracks.length >= tracks) return;
    sound.parentElement.hidden = tracks < 2;
    const once = new AbortController();
    const load = () => { once.abort(); reload(); };
    for (const choice of [quality, sound]) {
      choice.addEventListener('pointerdown', load, {signal: once.signal});
      choice.addEventListener('focus', load, {signal: once.signal});
    }
    element.addEventListener('waiting', load, {signal: once.signal});
    if (element.paused) load();
  };
  return stop;
}

/** nameOf is the rendition's name, as it stands in its playlist's address. */
const nameOf = (level) => level.uri.replace(/^.*\//, '').replace(/\.m3u8.*$/, '');

function choices(hls, quality) {
  const options = hls.levels.map((level, index) => ({index, text: nameOf(level), rate: level.bitrate}));
  options.sort((a, b) => b.rate - a.rate);
  quality.replaceChildren(el('option', {value: '-1', textContent: 'Auto'}),
    ...options.map((o) => el('option', {value: String(o.index), textContent: o.text})));
  quality.onchange = () => { hls.nextLevel = Number(quality.value); };
}

/** soundChoices lists the tracks of sound where there are several, and keeps what was chosen when they are loaded again. */
function soundChoices(hls, sound, video) {
  const {Events} = window.Hls;
  let chosen = null;
  hls.on(Events.AUDIO_TRACKS_UPDATED, (_, {audioTracks}) => {
    sound.replaceChildren(...audioTracks.map((t, index) => el('option', {value: String(index), textContent: soundName(t, video)})));
    const before = audioTracks.findIndex((t) => t.name === chosen);
    if (before >= 0) hls.audioTrack = before;
    sound.value = String(hls.audioTrack);
    sound.parentElement.hidden = audioTracks.length < 2;
  });
  hls.on(Events.AUDIO_TRACK_SWITCHED, (_, {id}) => { sound.value = String(id); });
  sound.onchange = () => {
    hls.audioTrack = Number(sound.value);
    chosen = hls.audioTracks[hls.audioTrack].name;
  };
}

/** soundName is the track's own title, or its language in the language of the page. */
function soundName(track, video) {
  const told = video.audio.find((a) => a.name === nameOf({uri: track.url}));
  if (!told || told.label || told.language === 'und') return track.name;
  const language = new Intl.DisplayNames(['en'], {type: 'language'}).of(told.language);
  return told.kind ? `${language}, ${told.kind}` : language;
}
