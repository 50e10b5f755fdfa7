// Following what the server works on. The page asks at most once a second, however much is in work, and not at all when
// nothing is or when nobody looks at it.
import {get} from './api.js';

const SECOND = 1000;
const PATIENCE = 30; // asks for a video that is ready and has no pictures of its scenes yet; some never have
const followers = new Set(); // {id, tell, previews, late}
const missing = []; // ids that the list of videos in work did not have: done, or gone
const queue = new Map(); // other questions, by name
let pause = SECOND; // grows while the server does not answer
let asked = -Infinity;
let timer = 0;
let asking = false;

/**
 * follow calls tell with the video as it is now and whether that is the last time: until the video is ready (with its previews,
 * where they are wanted) or has failed; with null when it is gone. It returns a function that ends that.
 */
export function follow(id, tell, previews = false) {
  const follower = {id, tell, previews, late: 0};
  followers.add(follower);
  schedule();
  return () => followers.delete(follower);
}

/** later asks something else, in its turn. The same name again replaces a question that still waits. */
export function later(name, question) {
  queue.set(name, question);
  schedule();
}

function schedule() {
  if (timer || asking || document.hidden || (!followers.size && !queue.size)) return;
  timer = setTimeout(tick, Math.max(0, Math.ceil(asked + pause - performance.now())));
}

async function tick() {
  timer = 0;
  asking = true;
  asked = performance.now();
  try {
    await ask();
    pause = SECOND;
  } catch {
    pause = Math.min(2 * pause, 10 * SECOND);
  }
  asking = false;
  schedule();
}

async function ask() {
  const [next] = queue;
  if (next) {
    queue.delete(next[0]);
    await next[1]();
    return;
  }
  const ids = new Set([...followers].map((f) => f.id));
  if (!ids.size) return;
  const id = ids.size === 1 ? [...ids][0] : missing.shift();
  if (id) {
    const video = await get(`/v1/videos/${id}`).catch((err) => {
      if (err.status !== 404) throw err;
      return null;
    });
    tell(id, video);
    return;
  }
  const found = new Map((await get('/v1/videos?status=processing&limit=100')).items.map((v) => [v.id, v]));
  for (const id of ids) {
    if (found.has(id)) tell(id, found.get(id)); else missing.push(id);
  }
}

function tell(id, video) {
  for (const follower of [...followers].filter((f) => f.id === id)) {
    const last = !video || video.status === 'failed' || (video.status === 'ready' && settled(video, follower));
    if (last) followers.delete(follower);
    follower.tell(video, last);
  }
}

/** settled says whether a video that is ready will not become more. */
function settled(video, follower) {
  if (!follower.previews || video.playback?.storyboard) return true;
  follower.late += 1;
  return follower.late > PATIENCE;
}

document.addEventListener('visibilitychange', () => {
  clearTimeout(timer);
  timer = 0;
  schedule();
});
