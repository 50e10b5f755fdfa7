// A strip of the storyboard's pictures below the player: to see what is where, and to go there.
import {clock, el} from './dom.js';

const SHOWN = 100;

/** seekStrip makes the strip and a function that fills it; it stays hidden as long as the video has no storyboard. */
export function seekStrip(element) {
  const list = el('div', {className: 'strip', role: 'group', 'aria-label': 'Scenes', hidden: true});
  const show = (video) => {
    if (list.hidden) fill(list, element, video).catch(() => { /* the player does without */ });
  };
  return {list, show};
}

async function fill(list, element, video) {
  const {storyboard, storyboard_image: image} = video.playback;
  if (!storyboard || !image) return;
  const answer = await fetch(storyboard);
  if (!answer.ok) return;
  const tiles = parse(await answer.text());
  if (!tiles.length || !list.hidden) return;
  list.replaceChildren(...tiles.slice(0, SHOWN).map((tile) => {
    const picture = el('img', {src: image, alt: '', width: tile.w, height: tile.h});
    picture.style.objectPosition = `-${tile.x}px -${tile.y}px`;
    return el('button', {
      type: 'button', title: clock(tile.start), 'aria-label': `Go to ${clock(tile.start)}`,
      onclick: () => { element.currentTime = tile.start; },
    }, picture);
  }));
  list.hidden = false;
  let current = null;
  element.addEventListener('timeupdate', () => {
    const at = tiles.findIndex((tile) => element.currentTime < tile.end);
    const scene = list.children[at];
    if (scene === current) return;
    current?.removeAttribute('aria-current');
    scene?.setAttribute('aria-current', 'true');
    if (scene && !list.matches(':hover, :focus-within')) list.scrollLeft = scene.offsetLeft - (list.clientWidth - scene.offsetWidth) / 2;
    current = scene;
  });
}

/** parse reads the cues of our own storyboard: a line of times, then a line with the place in the image. */
function parse(text) {
  const seconds = (time) => time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  return [...text.matchAll(/^([\d:.]+) --> ([\d:.]+)\n.*#xywh=(\d+),(\d+),(\d+),(\d+)$/gm)].map(([, start, end, ...box]) => {
    const [x, y, w, h] = box.map(Number);
    return {start: seconds(start), end: seconds(end), x, y, w, h};
  });
}
