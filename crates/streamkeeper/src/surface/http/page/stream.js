// One opened stream: its time line, merged from the feed, and what is shown of it.

import { axis, clock, curve, gaps, lane, length } from "./draw.js";

const count = new Intl.NumberFormat("en");
const few = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A number of bytes. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${few.format(bytes)} ${units[unit]}`;
}

/** An element with a text or children. */
export function element(name, content = "", classes = "") {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  made.append(...[content].flat());
  return made;
}

/** The last hour, as far as the feed has told it. Times are those of the stream's own clock. */
export class TimeLine {
  first = 0;
  series = { events: [], bytes: [], lag: [] };
  lanes = [];
  incidents = [];
  happenings = [];

  /** Takes what is new; `wall` is the time of day of the message. */
  merge(view, wall) {
    const length = view.events.length;
    const kept = this.series.events.length ? view.first - this.first : 0;
    if (!this.series.events.length || kept < 0) this.first = view.first;
    const total = Math.ceil(3_600_000 / view.bucket_ms);
    const over = Math.max(0, kept + length - total);
    const join = (old, fresh) => [...Array.from({ length: kept }, (_, i) => old[i] ?? 0), ...fresh].slice(over);
    for (const name of Object.keys(this.series)) this.series[name] = join(this.series[name], view[name]);
    this.lanes = view.lanes.map((fresh, i) => {
      const old = this.lanes[i] ?? { spans: [], silences: [] };
      const from = fresh.spans[0]?.[0] ?? Infinity;
      const horizon = view.now - 3_600_000;
      const spans = [...old.spans.filter(([at]) => at < from), ...fresh.spans];
      const gone = spans.findIndex((_, n) => (spans[n + 1]?.[0] ?? Infinity) > horizon);
      return { spans: spans.slice(gone), silences: join(old.silences, fresh.silences) };
    });
    this.first += over;
    this.bucket = view.bucket_ms;
    this.now = view.now;
    this.wall = wall;
    this.lateAfter = view.late_after;
    this.staleAfter = view.stale_after;
    this.incidents = view.incidents ?? this.incidents;
    this.happenings = view.happenings ?? this.happenings;
    this.told = Boolean(view.incidents);
  }

  /** The time of day of a moment on the stream's clock. */
  clock(at) {
    return clock(this.wall - (this.now - at));
  }

  /** The newest `seconds` of a list with one value per bucket; null where nothing is known. */
  newest(list, seconds) {
    const wanted = Math.round((seconds * 1000) / this.bucket);
    return [...Array(Math.max(0, wanted - list.length)).fill(null), ...list.slice(-wanted)];
  }

  /** The spans of a slot, each with its end. */
  spans(slot) {
    const { spans } = this.lanes[slot];
    return spans.map(([from, word, replaying], i) => ({ from, until: spans[i + 1]?.[0] ?? this.now, word, replaying: replaying === 1 }));
  }
}

/** What stands in the body of an opened stream. */
export class StreamView {
  timeLine = new TimeLine();
  #drawn = "";

  constructor(body) {
    this.body = body;
    body.append(document.getElementById("body-template").content.cloneNode(true));
    this.find = (selector) => body.querySelector(selector);
  }

  /** Forgets the time line: a new feed tells it anew. */
  reset() {
    this.timeLine = new TimeLine();
  }

  update({ text, status, history }, wall, zoom) {
    this.timeLine.merge(history, wall);
    this.find(".text").textContent = text;
    this.#facts(status, wall);
    this.#sinks(status);
    this.draw(zoom);
    if (this.timeLine.told) this.#stories();
  }

  /** Draws what depends on time, when a pixel of it has moved. */
  draw(zoom, always = false) {
    const line = this.timeLine;
    if (line.now === undefined) return;
    const states = line.lanes.map(({ spans }) => spans.at(-1)).join();
    const drawn = `${zoom} ${Math.floor(line.now / (zoom > 300 ? 5000 : 1000))} ${states}`;
    if (drawn === this.#drawn && !always) return;
    this.#drawn = drawn;
    this.#lanes(zoom);
    this.#plots(zoom);
    const until = line.now;
    this.body.querySelectorAll(".axis").forEach((svg) => axis(svg, until - zoom * 1000, until, line.wall));
  }

  #facts(status, wall) {
    const mark = status.mark ? Date.parse(status.mark) : null;
    const members = status.members === null ? "not said" : `${status.members} of ${status.members_max ?? "?"}`;
    const facts = [
      ["Mark", mark === null ? "not yet" : `${status.mark.slice(0, 10)} ${clock(mark)}`],
      ["Behind the present", mark === null ? "–" : length(Math.max(0, wall - mark))],
      ["Suspects that hold it", count.format(status.suspects)],
      ["Accepted", count.format(status.accepted)],
      ["Known already", count.format(status.duplicate)],
      ["Unreadable frames", count.format(status.garbled)],
      ["Clients, says the service", members],
      ["Recoveries", count.format(status.recoveries)],
    ];
    const list = this.find(".facts");
    if (list.children.length === facts.length) {
      // In place, so that a selection is not lost each second.
      facts.forEach(([, value], i) => {
        const place = list.children[i].lastChild;
        if (place.textContent !== value) place.textContent = value;
      });
    } else {
      list.replaceChildren(...facts.map(([name, value]) => element("div", [element("dt", name), element("dd", value)])));
    }
  }

  #sinks(status) {
    const rows = status.consumers.map((sink) => {
      const takes = sink.failing ? element("td", `no: ${sink.failing}`, "failing") : element("td", "yes");
      const name = element("th", sink.name);
      name.scope = "row";
      const numbers = [sink.backlog, sink.delivered, sink.failures].map((number) => element("td", count.format(number)));
      return element("tr", [name, takes, ...numbers]);
    });
    this.find(".sinks").replaceChildren(...rows);
    this.find(".outbox").textContent = `${size(status.outbox_bytes)} on disk wait for a sink; ${size(status.queue_bytes)} in memory wait for the disk.`;
  }

  #lanes(zoom) {
    const line = this.timeLine;
    const from = line.now - zoom * 1000;
    const row = (slot) => element("div", [
      element("div", [element("b", `slot ${slot}`), " ", element("span")], "who"),
      svg(),
      element("div", "", "said"),
    ], "slot");
    const rows = (selector) => {
      const place = this.find(selector);
      if (place.children.length !== line.lanes.length) place.replaceChildren(...line.lanes.map((_, i) => row(i)));
      return [...place.children];
    };
    rows(".lanes").forEach((place, slot) => {
      const spans = line.spans(slot);
      lane(place.querySelector("svg"), spans, from, line.now);
      const last = spans.at(-1);
      const now = last ? `${last.word}${last.replaying ? ", replaying" : ""}` : "nothing";
      place.querySelector(".who span").textContent = now;
      const sums = new Map();
      for (const span of spans) {
        const within = span.until - Math.max(span.from, from);
        if (within >= 50) sums.set(span.word, (sums.get(span.word) ?? 0) + within);
      }
      const said = [...sums].map(([word, ms]) => `${word} ${length(ms)}`).join(", ");
      describe(place, `Slot ${slot}: ${now} for ${length(last ? line.now - last.from : 0)}; of this time: ${said}.`, said);
    });
    rows(".gaps").forEach((place, slot) => {
      const values = line.newest(line.lanes[slot].silences, zoom).map((value) => value ?? 0);
      gaps(place.querySelector("svg"), values, line.lateAfter, line.staleAfter);
      const longest = Math.max(0, ...values);
      const verdict = longest >= line.staleAfter ? "beyond stale_after" : longest >= line.lateAfter ? "beyond late_after" : "within bounds";
      place.querySelector(".who span").textContent = verdict;
      const said = `now ${length(values.at(-1) ?? 0)}, longest ${length(longest)}`;
      describe(place, `Silence of slot ${slot}: ${said}; ${verdict}.`, said);
    });
  }

  #plots(zoom) {
    const line = this.timeLine;
    const rate = (list) => line.newest(list, zoom).map((value) => (value === null ? null : (value * 1000) / line.bucket));
    const plot = (name, values, show) => {
      const figure = this.find(`[data-plot="${name}"]`);
      const picture = figure.querySelector("svg");
      curve(picture, values, show);
      const known = values.filter((value) => value !== null);
      const highest = Math.max(0, ...known);
      const mean = known.reduce((sum, value) => sum + value, 0) / (known.length || 1);
      const now = known.length ? show(known.at(-1)) : "not known";
      const text = `now ${now}, highest ${show(highest)}, on average ${show(mean)}`;
      figure.querySelector("figcaption").textContent = text;
      picture.setAttribute("aria-label", `${figure.querySelector("h3").textContent}: ${text}.`);
    };
    // The newest bucket is still being filled: a rate of it would be too low.
    const whole = (values) => values.slice(0, -1);
    plot("events", whole(rate(line.series.events)), (value) => few.format(value));
    plot("bytes", whole(rate(line.series.bytes)), size);
    plot("lag", line.newest(line.series.lag, zoom).map((value) => (value === null || value < 0 ? null : value)), (value) => length(value * 1000));
  }

  #stories() {
    const line = this.timeLine;
    const time = (at) => element("time", line.clock(at));
    const steps = (list) => list.map((step) => {
      const again = step.times > 1 ? ` (${step.times} times, last at ${line.clock(step.last)})` : "";
      return element("li", [time(step.at), element("span", step.text + again)]);
    });
    const place = this.find(".incidents");
    const open = new Set([...place.querySelectorAll("details[open]")].map((incident) => incident.dataset.id));
    const focused = document.activeElement?.closest?.(".incident")?.dataset.id;
    const incidents = line.incidents.map((incident) => {
      const over = incident.over !== null;
      const numbers = over
        ? `over after ${length(incident.over - incident.began)}; ${count.format(incident.recovered)} events came back, ${count.format(incident.duplicate)} were known already`
        : "under way";
      const story = element("ol", steps(incident.steps), "story");
      if (incident.omitted) story.append(element("li", `${incident.omitted} more steps are not kept.`));
      const summary = element("summary", [
        element("b", `${line.clock(incident.began)} ${incident.cause}`), `: ${incident.why}; `, element("span", numbers, "numbers"),
      ]);
      const details = element("details", [summary, story], "incident");
      details.dataset.id = incident.id;
      details.open = open.has(String(incident.id));
      return details;
    });
    place.replaceChildren(...(incidents.length ? incidents : [element("p", "None since the start of the process.", "none")]));
    if (focused) place.querySelector(`[data-id="${focused}"] > summary`)?.focus();
    this.find(".others").hidden = line.happenings.length === 0;
    this.find(".others ol").replaceChildren(...steps(line.happenings));
  }
}

function svg() {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("role", "img");
  return made;
}

/** The text alternative of a picture, and the shorter one under it. */
function describe(place, text, said) {
  place.querySelector("svg").setAttribute("aria-label", text);
  place.querySelector(".said").textContent = said;
}
