// Playing with hls.js, and the choice of the quality. Chromium says "maybe" to native HLS and then plays it badly, so
// hls.js comes first where it works.
import {announce, button, el} from './dom.js';
import {seekStrip} from './storyboard.js';

/** play puts a player on the stage and returns a function that takes it away. */
export function play(stage, quality, video) {
  const element = el('video', {controls: true, playsInline: true, autoplay: true, 'aria-label': video.title});
  const [shape] = video.renditions;
  if (shape) element.style.aspectRatio = `${shape.width} / ${shape.height}`; // so that nothing moves when it loads
  if (video.playback.poster) element.poster = video.playback.poster;
  const trouble = el('p', {className: 'trouble bad', role: 'alert', hidden: true});
  const strip = seekStrip(element, video);
  stage.replaceChildren(element, strip, trouble);
  const {Hls} = window;
  if (!Hls?.isSupported()) {
    element.src = video.playback.hls;
    quality.parentElement.remove();
    return () => { element.removeAttribute('src'); element.load(); };
  }
  const hls = new Hls();
  hls.on(Hls.Events.MANIFEST_PARSED, () => choices(hls, quality));
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, {level}) => {
    quality.options[0].textContent = hls.autoLevelEnabled ? `Auto (${nameOf(hls.levels[level])})` : 'Auto';
  });
  let mended = -Infinity;
  hls.on(Hls.Events.ERROR, (_, error) => {
    if (!error.fatal) return;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - mended > 10_000) {
      mended = performance.now();
      hls.recoverMediaError();
      return;
    }
    console.error('playback:', error.type, error.details);
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
    hls.loadSource(video.playback.hls);
    hls.once(Hls.Events.MANIFEST_PARSED, () => hls.startLoad(at));
  };
  const stop = () => hls.destroy();
  /**
   * more says that the video is complete: a source that was played as it is has other qualities by then. They are loaded when
   * somebody wants to choose, or when the network is too slow for this one; until then nothing disturbs the playback.
   */
  stop.more = (complete) => {
    if (hls.levels.length >= complete.renditions.length) return;
    const once = new AbortController();
    const load = () => { once.abort(); reload(); };
    quality.addEventListener('pointerdown', load, {signal: once.signal});
    quality.addEventListener('focus', load, {signal: once.signal});
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
