// One request: its spans as a waterfall, what was said, every attribute.

import { get } from "./api.js";
import { copy, dot, failed, h } from "./dom.js";
import { count, day, money, plural, time } from "./format.js";
import { statusKind } from "./traces.js";

// Attributes that hold messages as JSON, and by which name they are shown.
const SAID = [
  ["gen_ai.system_instructions", "System"],
  ["gen_ai.input.messages", "Input"],
  ["gen_ai.output.messages", "Output"],
  ["gen_ai.tool.definitions", "Tools"],
];
const WHY_NOT = {
  excluded: "Excluded by redaction.exported, by the switch on OTEL Config, or by the caller.",
  no_room: "The gateway's capture budget was used up by other requests.",
  "": "The gateway captures content only where redaction.exported says so.",
};

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

// The spans as a tree, laid out in the order in which they are read.
function ordered(spans) {
  const ids = new Set(spans.map((span) => span.id));
  const out = [];
  const walk = (span, depth) => {
    out.push({ span, depth });
    spans.filter((child) => child.parent === span.id).sort((one, other) => one.start_ms - other.start_ms).forEach((child) => walk(child, depth + 1));
  };
  spans.filter((span) => !ids.has(span.parent)).forEach((span) => walk(span, 0));
  return out;
}

export function waterfall(spans) {
  const total = Math.max(...spans.map((span) => span.start_ms + span.duration_ms), 0.001);
  const detail = h("div", { class: "attributes" });
  const rows = ordered(spans).map(({ span, depth }) => {
    const at = (ms) => `${(100 * ms) / total}%`;
    return h("button", { type: "button", class: "span", "aria-pressed": "false", vars: { "--depth": String(depth) }, onclick: (event) => choose(span, event.currentTarget) },
      h("span", { class: "span-name" }, dot(span.failed ? "bad" : span.kind), h("b", {}, span.name), h("small", {}, span.kind)),
      h("span", { class: "span-track" }, h("i", { class: `span-bar ${span.failed ? "bad" : span.kind}`, vars: { left: at(span.start_ms), width: `max(2px, ${at(span.duration_ms)})` } })),
      h("span", { class: "span-time n" }, time(span.duration_ms)));
  });
  function choose(span, button) {
    for (const row of rows) row.setAttribute("aria-pressed", String(row === button));
    detail.replaceChildren(attributes(span));
  }
  const list = ordered(spans);
  const first = Math.max(0, list.findIndex(({ span }) => span.attributes["gen_ai.operation.name"]));
  if (rows[first]) choose(list[first].span, rows[first]);
  const chart = h("div", { class: "waterfall" }, h("div", { class: "ruler", "aria-hidden": "true" }, [0, 0.25, 0.5, 0.75].map((part) => h("span", { vars: { left: `${100 * part}%` } }, time(total * part)))), rows);
  return { chart, detail };
}

function attributes(span) {
  const messages = new Set(SAID.map(([name]) => name));
  const entries = Object.entries(span.attributes);
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return h("div", {},
    h("h3", {}, dot(span.failed ? "bad" : span.kind), " ", span.name, h("small", {}, ` starts at ${time(span.start_ms)}, takes ${time(span.duration_ms)}`)),
    span.failed && h("p", { class: "bad" }, span.error || span.attributes["error.type"] || "failed"),
    entries.length ? h("dl", {}, entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, messages.has(name) ? h("em", {}, "shown under Messages") : shown(value))])) : h("p", { class: "quiet" }, "It has no attributes."),
    span.events.map((event) => h("div", {}, h("h4", {}, `${event.name} at ${time(event.at_ms)}`), h("dl", {}, Object.entries(event.attributes).map(([name, value]) => [h("dt", {}, name), h("dd", {}, shown(value))])))));
}

function part(one) {
  const json = (value) => h("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));
  switch (one.type) {
    case "text": return h("div", { class: "text" }, typeof one.content === "string" ? one.content : JSON.stringify(one.content));
    case "reasoning": return h("details", {}, h("summary", {}, "reasoning"), h("div", { class: "text" }, typeof one.content === "string" ? one.content : JSON.stringify(one.content)));
    case "tool_call": return h("div", { class: "tool" }, h("b", {}, `calls ${one.name ?? "a tool"}`), one.id && h("small", {}, ` ${one.id}`), one.arguments != null && json(one.arguments));
    case "tool_call_response": return h("div", { class: "tool" }, h("b", {}, "result"), one.id && h("small", {}, ` of ${one.id}`), json(one.response ?? one.result ?? ""));
    default: return h("div", { class: "tool" }, h("b", {}, one.type ?? "part"), json(Object.fromEntries(Object.entries(one).filter(([name]) => name !== "type"))));
  }
}

function said(spans, content) {
  const span = spans.find((one) => SAID.some(([name]) => one.attributes[name]));
  if (!span) return h("p", { class: "quiet" }, "No content was captured. ", WHY_NOT[content] ?? WHY_NOT[""]);
  return h("div", { class: "said" }, SAID.map(([name, title]) => {
    const list = parse(span.attributes[name] ?? "");
    if (!Array.isArray(list)) return span.attributes[name] ? h("section", {}, h("h3", {}, title), h("pre", {}, span.attributes[name])) : null;
    if (name.endsWith("definitions")) return h("details", {}, h("summary", {}, plural(list.length, "tool definition")), h("pre", {}, JSON.stringify(list, null, 2)));
    const messages = list.map((one) => (one.parts ? one : { role: "system", parts: [one] }));
    return h("section", {}, h("h3", {}, title), messages.map((one) =>
      h("article", { class: `message ${one.role}` }, h("h4", {}, one.role ?? "", one.finish_reason && h("small", {}, ` · ${one.finish_reason}`)), (one.parts ?? []).map(part))));
  }));
}

const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

export function trace(id) {
  const element = h("div", { class: "view" }, h("p", { class: "quiet" }, "Loading …"));
  const standing = h("span", {});
  const stand = (whole) => standing.replaceChildren(...(whole.destinations.length
    ? whole.destinations.map((one) => h("span", { class: "chip" }, dot(one.settled ? "ok" : "wait"), one.destination, h("small", {}, one.settled ? " done" : " waiting")))
    : [h("span", { class: "quiet" }, "no destination")]));
  let done = false;

  async function look() {
    const whole = await get(`traces/${encodeURIComponent(id)}`);
    done = whole.destinations.every((one) => one.settled);
    stand(whole);
    return whole;
  }
  async function load() {
    try {
      element.replaceChildren(show(await look()));
    } catch (error) {
      element.replaceChildren(h("a", { href: "#/traces", class: "back" }, "← Traces"), failed(error, error.status === 404 ? null : load));
    }
  }
  function show(whole) {
    const otlp = async () => copy(JSON.stringify(await get(`traces/${encodeURIComponent(id)}/otlp`), null, 2), "OTLP JSON");
    const { chart, detail } = waterfall(whole.spans);
    return h("div", { class: "stack" },
      h("a", { href: "#/traces", class: "back" }, "← Traces"),
      h("div", { class: "head" }, h("h1", {}, dot(statusKind(whole)), `${whole.method} ${whole.path}`),
        h("div", { class: "actions" },
          h("button", { type: "button", title: whole.curl.note ?? "sends the request again; the key is a variable", onclick: () => copy(whole.curl.line, "curl") }, "Copy as curl"),
          h("button", { type: "button", onclick: otlp }, "Copy as OTLP JSON"),
          Object.entries(whole.links).map(([label, href]) => h("a", { class: "button", href, target: "_blank", rel: "noopener noreferrer" }, `Open in ${label} ↗`)))),
      h("dl", { class: "facts" },
        fact("Status", h("b", { class: whole.error ? "bad" : "" }, whole.status || "none"), whole.error && ` ${whole.error}`),
        fact("Model", h("b", {}, whole.model || "–"), whole.answered && whole.answered !== whole.model && h("small", {}, ` ${whole.answered}`)),
        fact("Provider", whole.provider || "none was tried", whole.attempts > 1 && h("small", {}, ` ${whole.attempts} attempts`)),
        fact("Key", whole.key || "–", whole.user && h("small", {}, ` ${whole.user}`)),
        fact("Latency", time(whole.duration_ms), whole.first_token_ms != null && h("small", {}, ` first token ${time(whole.first_token_ms)}`)),
        fact("Tokens", `${count(whole.input)} in, ${count(whole.output)} out`),
        fact("Cost", money(whole.cost)),
        fact("At", h("time", { datetime: new Date(whole.at_ms).toISOString() }, day(whole.at_ms))),
        fact("Trace", h("code", {}, whole.trace_id), " ", h("button", { type: "button", class: "ghost small", onclick: () => copy(whole.trace_id, "Trace id") }, "copy")),
        fact("Delivery", standing)),
      whole.curl.note && h("p", { class: "quiet sr" }, `curl: ${whole.curl.note}`),
      h("section", { class: "panel" }, h("h2", {}, "Spans"), chart),
      h("div", { class: "halves" },
        h("section", { class: "panel" }, h("h2", {}, "Messages"), said(whole.spans, whole.content)),
        h("section", { class: "panel" }, h("h2", {}, "Attributes"), detail)));
  }
  load();
  return {
    title: "Trace",
    element,
    refresh: async () => {
      if (done) return;
      try {
        await look();
      } catch { /* it is shown as it was */ }
    },
  };
}
