// Building blocks of the page. All text from the API goes in as text, never as HTML.

export const $ = (id) => document.getElementById(id);

/** el makes an element: properties where it has them, attributes else. Children that are empty are left out. */
export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key in node) node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== '' && child !== null && child !== undefined));
  return node;
}

export function button(text, onclick, look = 'plain') {
  return el('button', {type: 'button', className: `button ${look}`, textContent: text, onclick});
}

/** setText leaves a node alone that says so already: selections stay, and screen readers are not told twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** announce tells users of screen readers. */
export function announce(text) { setText($('announce'), text); }

export function clock(seconds) {
  const s = Math.round(seconds || 0);
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor(s / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

export function size(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (bytes >= 1000 && i < units.length - 1) { bytes /= 1000; i++; }
  return `${i && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[i]}`;
}

export const percent = (share) => `${Math.floor((share || 0) * 100)} %`;

/** encoding says how far a video is that is in work; it has no renditions before its file was looked at. */
export const encoding = (video) => (video.renditions.length ? `Encoding ${percent(video.progress)}` : 'Being inspected');

export const day = (time) => new Date(time).toLocaleDateString(undefined, {dateStyle: 'medium'});
export const moment = (time) => new Date(time).toLocaleString(undefined, {dateStyle: 'medium', timeStyle: 'short'});
