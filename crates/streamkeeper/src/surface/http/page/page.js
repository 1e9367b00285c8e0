// The page: the feed, the sentence at the top, the list of streams.
//
// The feed carries a line for every stream and the time lines of those that are open here, so that
// hundreds of streams cost little. Opening or closing one asks for another feed.

import { clock, length, sample } from "./draw.js";
import { StreamView } from "./stream.js";

const OPEN_MAX = 8;
const LOST_AFTER = 12_000;
const RETRY_AFTER = 2_000;
const FILTER_FROM = 5;
const SILENT = "Streamkeeper does not answer";

const place = (id) => document.getElementById(id);
const few = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const streams = new Map(); // by name: { row, line, view }
let opened = new Set(); // names, the oldest first
let chosen = false; // somebody has opened or closed a stream
let zoom = 3600;
let feed = null;
let heard = 0;
let lostSince = null;
let retry = null;
let last = null; // the last sentence

function connect() {
  clearTimeout(retry);
  feed?.close();
  const open = [...opened].map((name) => `open=${encodeURIComponent(name)}`).join("&");
  const asked = new EventSource(`api/feed?${open}`);
  feed = asked;
  heard = Date.now();
  feed.onmessage = ({ data }) => {
    heard = Date.now();
    found();
    take(JSON.parse(data));
  };
  feed.onerror = async () => {
    // Only a refusal ends an EventSource for good; it is asked again all the same.
    if (asked.readyState !== EventSource.CLOSED) return lost(SILENT);
    const why = await refusal(asked.url);
    if (feed !== asked) return;
    lost(why);
    retry = setTimeout(connect, RETRY_AFTER);
  };
}

/** Why a feed is refused, which an EventSource does not tell. */
async function refusal(url) {
  const asking = new AbortController();
  try {
    const answer = await fetch(url, { signal: asking.signal });
    const isText = answer.headers.get("content-type")?.startsWith("text/plain");
    return !answer.ok && isText ? (await answer.text()).trim() : SILENT;
  } catch {
    return SILENT;
  } finally {
    asking.abort();
  }
}

function lost(why) {
  lostSince ??= Date.now();
  document.body.classList.add("lost");
  place("link").textContent = `Connection to Streamkeeper lost at ${clock(lostSince)}; trying again`;
  place("headline").dataset.mood = "unknown";
  const then = streams.size ? " What follows is what it said last." : "";
  place("sentence").textContent = `Not known: ${why}.${then}`;
  place("sentence-mark").textContent = "";
}

function found() {
  if (lostSince !== null) last = null;
  lostSince = null;
  document.body.classList.remove("lost");
}

function take(message) {
  const { wall } = message;
  place("link").textContent = `Live, ${clock(wall)} UTC`;
  sentence(message.sentence ?? last, wall);
  if (message.whole) keepOnly(new Set(message.streams.map(({ name }) => name)));
  for (const name of message.gone ?? []) drop(name);
  for (const line of message.streams) listed(line, wall);
  if (message.whole && streams.size === 1 && !chosen) {
    // The only stream: nothing to choose.
    const [[, only]] = streams;
    only.row.open = true;
  }
  for (const open of message.open ?? []) {
    const stream = streams.get(open.status.name);
    if (!stream) continue;
    stream.view ??= new StreamView(stream.row.querySelector(".body"));
    if (open.whole) stream.view.reset();
    stream.view.update({ text: stream.line.text, ...open }, wall, zoom);
  }
  if (message.streams.length) filter();
}

function sentence(now, wall) {
  if (!now) return;
  if (now.text !== last?.text) place("sentence").textContent = now.text;
  place("headline").dataset.mood = now.mood;
  place("sentence-mark").textContent = now.mark ? `Mark ${length(Math.max(0, wall - Date.parse(now.mark)))} behind.` : "";
  document.title = now.mood === "well" ? "Streamkeeper" : `${now.mood === "trouble" ? "✗" : "↻"} Streamkeeper`;
  last = now;
}

/** A stream's line in the list. */
function listed(line, wall) {
  const stream = streams.get(line.name) ?? added(line.name);
  stream.line = line;
  const { row } = stream;
  const put = (selector, text) => {
    const found = row.querySelector(`summary ${selector}`);
    if (found.textContent !== text) found.textContent = text;
  };
  row.querySelector("summary").dataset.mood = line.mood;
  put(".state", line.detail ? `${line.state}: ${line.detail}` : line.state);
  slots(row.querySelector(".slots"), line.slots);
  put(".rate", `${few.format(line.events_per_second)} events/s`);
  put(".mark", line.mark ? `mark ${length(Math.max(0, wall - Date.parse(line.mark)))} behind` : "no mark yet");
  row.title = line.text;
}

const SIGNS = { live: "●", late: "▲", resting: "○", unused: "–", paused: "–", draining: "◗", closing: "◗" };

function slots(found, words) {
  const signs = words.map((word) => SIGNS[word] ?? "◌").join("");
  if (found.textContent === signs) return;
  found.textContent = signs;
  found.setAttribute("role", "img");
  found.setAttribute("aria-label", `slots: ${words.join(", ")}`);
  found.title = words.join(", ");
}

function added(name) {
  const row = place("stream-template").content.cloneNode(true).firstElementChild;
  row.querySelector(".name").textContent = name;
  row.dataset.name = name;
  row.addEventListener("toggle", () => toggled(name, row));
  // In the order of names.
  const next = [...streams.keys()].filter((other) => other > name).sort()[0];
  place("streams").insertBefore(row, next === undefined ? null : streams.get(next).row);
  const stream = { row, line: null, view: null };
  streams.set(name, stream);
  place("filters").hidden = streams.size < FILTER_FROM;
  return stream;
}

function toggled(name, row) {
  if (row.open === opened.has(name)) return;
  chosen = true;
  if (row.open) {
    opened.add(name);
    const oldest = [...opened][0];
    if (opened.size > OPEN_MAX) streams.get(oldest).row.open = false;
  } else {
    opened.delete(name);
    streams.get(name).view = null;
    row.querySelector(".body").replaceChildren();
  }
  connect();
}

function drop(name) {
  streams.get(name)?.row.remove();
  streams.delete(name);
  opened.delete(name);
}

function keepOnly(names) {
  for (const name of [...streams.keys()]) if (!names.has(name)) drop(name);
}

function filter() {
  const wanted = place("filter").value.trim().toLowerCase();
  const attention = place("attention").checked;
  let shown = 0;
  for (const [name, { row, line }] of streams) {
    const hides = !name.toLowerCase().includes(wanted) || (attention && line.mood === "well");
    row.hidden = hides;
    shown += hides ? 0 : 1;
  }
  place("counted").textContent = `${shown} of ${streams.size}`;
}

function redraw() {
  for (const { view } of streams.values()) view?.draw(zoom, true);
}

place("filter").addEventListener("input", filter);
place("attention").addEventListener("change", filter);
for (const choice of document.querySelectorAll("[name=zoom]")) {
  choice.addEventListener("change", () => {
    zoom = Number(choice.value);
    redraw();
  });
}
let width = 0;
new ResizeObserver(() => {
  if (document.body.clientWidth !== width) redraw();
  width = document.body.clientWidth;
}).observe(document.body);
for (const key of document.querySelectorAll("[data-key]")) sample(key, key.dataset.key);
setInterval(() => {
  if (Date.now() - heard < LOST_AFTER) return;
  lost(SILENT);
  connect();
}, 1_000);
connect();
