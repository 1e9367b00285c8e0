// Lanes, strips and curves as SVG. Knows pixels and times, nothing of streams.

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes, children or a text. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The time of day of a moment (milliseconds since the epoch), UTC. */
export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

/** A length of time, two units at most. */
export function length(ms) {
  if (ms < 9950) return `${Math.round(ms / 100) / 10} s`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

// How a state looks: its pattern (page.css), and how high its bar stands in the lane.
const LOOKS = {
  live: ["live", 1], late: ["late", 1], draining: ["closing", 0.6], closing: ["closing", 0.6],
  connecting: ["connecting", 0.42], backing_off: ["connecting", 0.42], idle: ["connecting", 0.42],
  resting: ["resting", 0.3], unused: ["unused", 0.12], paused: ["unused", 0.12],
};
const LANE = 26;
const STRIP = 7;

/** A lane: its spans are {from, until, word, replaying}, in milliseconds, oldest first. */
export function lane(svg, spans, from, until, width = svg.clientWidth || 300) {
  const x = (at) => ((Math.max(at, from) - from) / (until - from)) * width;
  const parts = [make("rect", { class: "ground", width, height: LANE })];
  for (const span of spans.filter((span) => span.until > from)) {
    const [left, right] = [x(span.from), x(span.until)];
    const wide = Math.max(right - left, 1.5); // a second of an hour is seen, too
    const [look, share] = LOOKS[span.word] ?? ["unused", 0.12];
    const height = Math.round(LANE * share);
    const title = make("title", {}, `${span.word}${span.replaying ? ", replaying" : ""} for ${length(span.until - span.from)}`);
    parts.push(make("rect", { class: `span-${look}`, x: left, y: LANE - height, width: wide, height }, title));
    if (span.replaying) {
      parts.push(make("rect", { class: "span-replaying", x: left, y: LANE + 1, width: wide, height: STRIP - 1 }));
    }
    if (wide > span.word.length * 7 + 10) {
      const text = make("text", { class: look === "live" ? "on-live" : "on-other", x: left + wide / 2, y: 17, "text-anchor": "middle" }, span.word);
      parts.push(text);
    }
  }
  svg.setAttribute("height", LANE + STRIP);
  svg.replaceChildren(...parts);
}

/** A sample of a state, for the legend. */
export function sample(svg, word) {
  const replaying = word === "replaying";
  const spans = [{ from: 0, until: 1, word: replaying ? "live" : word, replaying }];
  lane(svg, spans, 0, 1, 44);
  svg.querySelector("text")?.remove();
  svg.setAttribute("viewBox", `0 0 44 ${LANE + STRIP}`);
}

/** A line of times under lanes or plots; `wall` is the time of day at `until`. */
export function axis(svg, from, until, wall) {
  const width = svg.clientWidth || 300;
  const room = Math.max(2, Math.floor(width / 70));
  const step = [60, 120, 300, 600, 900, 1200, 1800].find((s) => (until - from) / 1000 / s <= room) ?? 3600;
  const parts = [];
  const first = wall - (until - from);
  for (let at = Math.ceil(first / (step * 1000)) * step * 1000; at <= wall; at += step * 1000) {
    const x = ((at - first) / (until - from)) * width;
    if (x < 18 || x > width - 18) continue;
    parts.push(make("line", { x1: x, x2: x, y1: 0, y2: 4 }));
    parts.push(make("text", { x, y: 15, "text-anchor": "middle" }, clock(at).slice(0, 5)));
  }
  svg.replaceChildren(...parts);
}

/** A curve over buckets; `values` may have holes (null). `show` words a value. */
export function curve(svg, values, show) {
  const width = svg.clientWidth || 300;
  const height = Number(svg.getAttribute("height"));
  const top = nice(Math.max(1, ...values.map((value) => value ?? 0)));
  const x = (i) => (i / Math.max(1, values.length)) * width;
  const y = (value) => height - 4 - (value / top) * (height - 20);
  let line = "";
  let area = "";
  let open = false;
  values.forEach((value, i) => {
    if (value === null) {
      if (open) area += `V${y(0)}Z`;
      open = false;
      return;
    }
    line += `${open ? "L" : "M"}${x(i)} ${y(value)}H${x(i + 1)}`;
    area += `${open ? "L" : `M${x(i)} ${y(0)}L`}${x(i)} ${y(value)}H${x(i + 1)}`;
    open = true;
  });
  if (open) area += `V${y(0)}Z`;
  svg.replaceChildren(
    make("line", { class: "grid", x1: 0, x2: width, y1: y(0), y2: y(0) }),
    make("line", { class: "grid", x1: 0, x2: width, y1: y(top), y2: y(top) }),
    make("path", { class: "area", d: area }),
    make("path", { class: "curve", d: line }),
    make("text", { x: 0, y: 11 }, show(top)),
  );
}

const GAPS = 56;

/** The longest silences of each bucket as bars, against the two bounds (milliseconds). */
export function gaps(svg, values, lateAfter, staleAfter) {
  const width = svg.clientWidth || 300;
  const top = Math.max(staleAfter * 1.15, ...values) || 1;
  const y = (value) => GAPS - (value / top) * GAPS;
  const bar = width / Math.max(1, values.length);
  // One path for each kind, however many bars.
  const paths = { well: "", late: "", stale: "" };
  values.forEach((value, i) => {
    if (value <= 0) return;
    const kind = value >= staleAfter ? "stale" : value >= lateAfter ? "late" : "well";
    paths[kind] += `M${i * bar} ${GAPS}V${y(value)}h${Math.max(bar * 0.9, 1)}V${GAPS}Z`;
  });
  const bound = (at, name, classes) => [
    make("line", { class: classes, x1: 0, x2: width, y1: y(at), y2: y(at) }),
    make("text", { class: "on-other", x: 4, y: y(at) < 14 ? y(at) + 12 : y(at) - 3 }, `${name} ${length(at)}`),
  ];
  svg.setAttribute("height", GAPS);
  svg.replaceChildren(
    make("rect", { class: "ground", width, height: GAPS }),
    ...Object.entries(paths).map(([kind, d]) => make("path", { class: `gap-${kind}`, d })),
    ...bound(lateAfter, "late_after", "bound"),
    ...bound(staleAfter, "stale_after", "bound stale"),
  );
}

/** The next round number. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((round) => round >= value);
}
