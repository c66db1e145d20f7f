// The ledger as a picture: each stage is a bar of one scale, cut into what became of its events. What goes on to
// the next stage is joined to it by a band, so a loss is a step, and the numbers under a bar are its sum.

import { dot, h, s } from "./dom.js";
import { count, plural } from "./format.js";

// What became of a destination's events: [figure, class, one, many].
const FATES = [
  ["delivered", "good", "delivered"],
  ["backlog", "wait", "waiting"],
  ["filtered", "mute", "filtered (when)"],
  ["dead_lettered", "warn", "dead-lettered"],
  ["rejected", "bad", "rejected"],
  ["evicted", "bad", "lost (stream full or too old)"],
  ["purged", "mute", "purged"],
];

// A stage: its name, its sum, its parts [[count, class, words]], and the rest that no part accounts for.
function stage({ name, about, sum, parts, scale, rest, settles, href }) {
  const shown = parts.filter(([n]) => n > 0);
  const bar = h("div", { class: "stage-bar", vars: { "--part": `${scale ? (100 * sum) / scale : 0}%` } },
    shown.map(([n, kind, words]) => h("i", { class: `seg ${kind}`, title: `${count(n)} ${words}`, vars: { "flex-grow": String(n) } })));
  const legend = shown.map(([n, kind, words], place) => [place ? " + " : "", h("span", {}, h("i", { class: `key ${kind}` }), `${count(n)} ${words}`)]);
  const verdict = rest === 0 ? h("em", { class: "sum ok" }, "adds up") : h("em", { class: "sum" }, settles ?? `${count(rest)} under way`);
  return h("div", { class: "stage" },
    h("div", { class: "stage-name" }, href ? h("a", { href }, name) : h("b", {}, name), about && h("small", {}, about)),
    h("div", { class: "stage-sum" }, count(sum)),
    bar,
    h("p", { class: "stage-legend" }, sum || shown.length ? [...legend, " ", verdict] : h("span", { class: "quiet" }, "nothing yet")));
}

// The band from so much of one bar to so much of the next.
function band(from, to, scale) {
  const x = (n) => (scale ? (100 * n) / scale : 0);
  return h("div", { class: "band", "aria-hidden": "true" }, s("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none" },
    s("path", { d: `M0 0H${x(from)}C${x(from)} 6 ${x(to)} 4 ${x(to)} 10H0z` })));
}

export function flow(ledger) {
  const { gateway, destinations } = ledger;
  const scale = Math.max(gateway?.created ?? 0, gateway?.accepted ?? 0, ...destinations.map((one) => one.stored), 0);
  const rows = [];
  if (gateway) {
    const known = gateway.accepted + gateway.refused + gateway.dropped + gateway.sampled_out + gateway.elsewhere;
    rows.push(
      stage({
        name: "Created", about: plural(gateway.workers, "gateway worker"), sum: Math.max(gateway.created, known), scale, rest: 0,
        parts: [
          [gateway.accepted, "good", "accepted"],
          [gateway.elsewhere, "wait", "on the way, or lost with their worker"],
          [gateway.sampled_out, "mute", "sampled out"],
          [gateway.dropped, "bad", "dropped (outbox full)"],
          [gateway.refused, "bad", "refused"],
        ],
      }),
      band(gateway.accepted, gateway.accepted, scale),
      stage({ name: "Accepted", about: "acknowledged by JetStream", sum: gateway.accepted, scale, rest: 0, parts: [[gateway.accepted, "good", "stored"]] }));
  }
  const branches = destinations.map((one) => {
    const parts = FATES.map(([figure, kind, words]) => [one[figure], kind, words]);
    const sum = parts.reduce((all, [n]) => all + n, 0);
    const before = gateway ? one.stored - gateway.accepted : 0;
    const about = before > 0 ? `${one.target} · ${count(before)} replayed, or from workers not counted here` : one.target;
    const kind = { well: "ok", retrying: "warn" }[one.condition] ?? "bad";
    return [
      gateway ? band(gateway.accepted, one.stored, scale) : null,
      stage({ name: [dot(kind), one.name], href: `#/settings/${encodeURIComponent(one.name)}`, about, sum: one.stored, scale, parts, rest: one.stored - sum, settles: "settling" }),
    ];
  });
  return h("div", { class: "flow" }, rows,
    destinations.length ? h("div", { class: "branches" }, destinations.length > 1 ? h("p", { class: "quiet" }, "Each destination gets every event:") : null, branches)
      : h("p", { class: "quiet" }, "No destination yet. ", h("a", { href: "#/add-destination" }, "Add one")));
}
