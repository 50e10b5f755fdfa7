// What the player tells the server about a view: running totals, so that a beacon that is lost or comes twice does no harm.
// Nothing is stored in the browser.
const EVERY = 10_000;

/**
 * tell follows a video element until the function that it returns is called. renditionNow names what is played. The returned
 * function has others: switching, to be called before that changes, and failed, for errors that end the playback.
 */
export function tell(element, video, renditionNow) {
  const view = uuid();
  const wished = performance.now();
  const times = new Map(); // by rendition
  let beacons = [];
  let started = false;
  let moving = false; // the picture is moving, as far as is known
  let stalledSince = null;
  let lastTime = 0; // of the clock, when times were brought up to date
  let from = 0; // the piece of the video that is being played began here
  let lastPosition = 0; // before somebody jumps

  const now = () => performance.now();
  const of = (name) => {
    if (!times.has(name)) times.set(name, {watched: 0, stalled: 0, stalls: 0});
    return times.get(name);
  };
  const current = () => of(renditionNow());
  const account = () => {
    const t = now();
    if (moving) current().watched += t - lastTime;
    if (stalledSince !== null) { current().stalled += t - stalledSince; stalledSince = t; }
    lastTime = t;
  };
  const seconds = (ms) => Math.round(ms) / 1000;
  const add = (type, more = {}) => {
    account();
    const rendition = renditionNow();
    const {watched, stalled, stalls} = current();
    const to = element.currentTime;
    const piece = to > from ? {from, to} : {};
    from = to;
    beacons.push({type, rendition, watched: seconds(watched), stalled: seconds(stalled), stalls, ...piece, ...more});
  };
  const send = () => {
    if (!beacons.length) return;
    const body = JSON.stringify({video: video.id, view, beacons: beacons.splice(0, 100)});
    // A page that is left may still send this; what cannot be sent is made up for by the next.
    fetch('/v1/views', {method: 'POST', keepalive: true, headers: {'Content-Type': 'application/json'}, credentials: 'omit', body})
      .catch(() => { /* the totals come again */ });
  };
  const heartbeat = () => {
    if (started && (moving || stalledSince !== null)) add('heartbeat');
    send();
  };

  const stop = new AbortController();
  const on = (name, f, target = element) => target.addEventListener(name, f, {signal: stop.signal});
  on('playing', () => {
    account();
    moving = true;
    if (!started) {
      started = true;
      from = element.currentTime;
      add('start', {startup: Math.min(600, seconds(now() - wished))});
      send(); // at once: the view begins here
    } else if (stalledSince !== null) {
      stalledSince = null;
      add('rebuffer');
    }
  });
  on('waiting', () => {
    account();
    moving = false;
    if (!started || element.seeking || stalledSince !== null) return;
    stalledSince = now();
    current().stalls += 1;
  });
  on('seeking', () => {
    account();
    stalledSince = null; // who jumps waits, and nothing stalls
    if (started && from < lastPosition) { beacons.push({type: 'heartbeat', rendition: renditionNow(), from, to: lastPosition}); }
    from = element.currentTime;
    moving = false;
  });
  on('seeked', () => {
    account();
    from = element.currentTime;
    lastPosition = from;
    moving = started && !element.paused;
  });
  on('timeupdate', () => { if (!element.seeking) lastPosition = element.currentTime; });
  on('pause', () => {
    account();
    stalledSince = null;
    if (started && moving) add('heartbeat');
    moving = false;
    if (!element.ended) send();
  });
  on('ended', () => {
    if (started) add('end');
    moving = false;
    send();
  });
  on('pagehide', heartbeat, window);
  on('visibilitychange', () => { if (document.visibilityState === 'hidden') heartbeat(); }, document);
  const timer = setInterval(heartbeat, EVERY);

  const end = () => {
    heartbeat();
    clearInterval(timer);
    stop.abort();
  };
  end.switching = () => { if (started) add('heartbeat'); };
  end.failed = (error) => {
    add('error', {error});
    moving = false;
    send();
  };
  return end;
}

/** uuid is crypto.randomUUID, which pages that are not served from this machine lack without TLS. */
function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((n) => n.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
