// What is wrong, the last hour in charts, where every event is, and the same by model as a table.

import { get, refresher } from "./api.js";
import { chart } from "./charts.js";
import { dot, failed, h } from "./dom.js";
import { count, money, percent, plural, short, time } from "./format.js";
import { flow } from "./ledger.js";

// Lives as long as the page, so that a choice survives navigation; a name keeps its colour.
const chosen = { by: "model", window: null };
const colours = new Map();

const colour = (name) => {
  if (name === "others") return 8;
  if (!colours.has(name)) colours.set(name, colours.size % 8);
  return colours.get(name);
};

// By default an hour, or fifteen minutes where there is nothing older.
const minutesShown = (hour) => chosen.window ?? (hour.series.some((one) => one.requests.slice(0, -15).some(Boolean)) ? 60 : 15);

const sum = (values) => values.reduce((all, value) => all + value, 0);
const nameOf = (one, by) => (one[by] === "" ? (by === "model" ? "unknown model" : "no provider") : one[by]);

// The series by model or by provider, within the window.
function grouped(hour) {
  const window = minutesShown(hour);
  const groups = new Map();
  for (const one of hour.series) {
    const name = nameOf(one, chosen.by);
    const group = groups.get(name) ?? { name, color: colour(name), requests: [], errors: [], tokens: [], cost: [] };
    const cut = (values) => values.slice(-window);
    const add = (into, values) => cut(values).forEach((value, at) => { into[at] = (into[at] ?? 0) + value; });
    add(group.requests, one.requests);
    add(group.errors, one.errors);
    add(group.tokens, one.input.map((value, at) => value + one.output[at]));
    add(group.cost, one.cost);
    groups.set(name, group);
  }
  return [...groups.values()].sort((one, other) => sum(other.requests) - sum(one.requests));
}

function panels(hour) {
  const groups = grouped(hour);
  const window = minutesShown(hour);
  const minutes = hour.minutes.slice(-window);
  const of = (figure) => groups.map((group) => ({ name: group.name, color: group.color, values: group[figure] }));
  const total = (figure) => sum(groups.map((group) => sum(group[figure])));
  const lines = (figure) => ["p50", "p95", "p99"].map((name, place) => ({ name, color: place, values: hour[figure][name].slice(-window) }));
  const requests = total("requests");
  const errors = total("errors");
  const panel = (title, figure, note, drawing) =>
    h("section", { class: "panel figure" }, h("h3", {}, title), h("p", { class: "big" }, figure, note && h("small", {}, note)), drawing);
  const bars = (title, figure, format) => chart({ label: `${title} a minute, the last ${window} minutes: ${format(total(figure))} in all`, minutes, format, bars: of(figure) });
  const times = (title, figure) => {
    const { p50, p95 } = hour.sums[figure];
    return chart({ label: `${title} a minute; over the hour half within ${time(p50)}, 95 of 100 within ${time(p95)}`, minutes, format: time, lines: lines(figure) });
  };
  const quantiles = (figure) => `p95 ${time(hour.sums[figure].p95)} · p99 ${time(hour.sums[figure].p99)}`;
  return [
    panel("Requests", short(requests), requests ? `${(requests / window).toFixed(requests / window < 10 ? 1 : 0)} a minute` : "", bars("Requests", "requests", short)),
    panel("Errors", h("span", { class: errors ? "bad" : "" }, short(errors)), percent(errors, requests), bars("Errors", "errors", short)),
    panel("Tokens", short(total("tokens")), `${short(hour.sums.input)} in · ${short(hour.sums.output)} out`, bars("Tokens", "tokens", short)),
    panel("Cost", money(total("cost")), "by the price list", bars("Cost", "cost", money)),
    panel("Latency", time(hour.sums.latency.p50), quantiles("latency"), times("Latency", "latency")),
    panel("First token", time(hour.sums.first_token.p50), hour.sums.first_token.p50 == null ? "of streams" : quantiles("first_token"), times("Time to the first token", "first_token")),
  ];
}

function troubles(answer) {
  const list = answer.trouble;
  if (!list.length) {
    return h("p", { class: "well" }, dot("ok"), h("b", {}, "All is well."), ` ${plural(answer.hour.sums.requests, "request")} in the last hour.`);
  }
  return h("ul", { class: "troubles" }, list.map((one) =>
    h("li", { class: one.level }, dot({ error: "bad", warning: "warn", note: "note" }[one.level]),
      h("div", {}, h("b", {}, one.what), " ", h("span", {}, one.advice), one.view && h("a", { href: `#/${one.view}` }, " Go there")))));
}

function table(hour) {
  const rows = hour.series.filter((one) => sum(one.requests));
  if (!rows.length) return h("p", { class: "quiet" }, "No request in the last hour.");
  const head = ["Model", "Provider", "Requests", "Errors", "Tokens in", "Tokens out", "Cost", "p50", "p95", "First token p50"];
  return h("div", { class: "wide" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((name, place) => h("th", { scope: "col", class: place > 1 ? "n" : "" }, name)))),
    h("tbody", {}, rows.map((one) => {
      const [requests, errors] = [sum(one.requests), sum(one.errors)];
      return h("tr", {},
        h("th", { scope: "row" }, h("i", { class: `key c${colour(nameOf(one, chosen.by))}` }), nameOf(one, "model")), h("td", {}, nameOf(one, "provider")),
        h("td", { class: "n" }, count(requests)), h("td", { class: errors ? "n bad" : "n" }, errors ? `${count(errors)} (${percent(errors, requests)})` : "0"),
        h("td", { class: "n" }, short(sum(one.input))), h("td", { class: "n" }, short(sum(one.output))), h("td", { class: "n" }, money(sum(one.cost))),
        h("td", { class: "n" }, time(one.latency.p50)), h("td", { class: "n" }, time(one.latency.p95)), h("td", { class: "n" }, time(one.first_token.p50)));
    }))));
}

function toggle(label, options, current, choose) {
  const buttons = options.map(([value, name]) => h("button", { type: "button", onclick: () => { choose(value); element.show(); } }, name));
  const element = h("div", { class: "toggle", role: "group", "aria-label": label }, buttons);
  element.show = () => buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(options[place][0] === current())));
  element.show();
  return element;
}

export function overview() {
  const state = h("div", { role: "status" }, h("p", { class: "quiet" }, "Loading …"));
  const figures = h("div", { class: "figures" });
  const legend = h("p", { class: "legend" });
  const ledger = h("div", {});
  const models = h("div", {});
  let last = null;

  function draw() {
    if (!last) return;
    windows.show();
    // A chart that somebody reads stays as it is until they are done.
    if (!figures.querySelector(".tip:not([hidden])")) figures.replaceChildren(...panels(last.hour));
    const skipped = last.hour.skipped ? h("span", {}, `Very dense traffic: ${plural(last.hour.skipped, "more request")} are not shown.`) : null;
    legend.replaceChildren(...grouped(last.hour).map((group) => h("span", {}, h("i", { class: `key c${group.color}` }), group.name)), ...(skipped ? [skipped] : []));
    models.replaceChildren(table(last.hour));
  }
  const refresh = refresher(async () => {
    try {
      last = await get("overview");
    } catch (error) {
      state.replaceChildren(failed(error, refresh));
      return;
    }
    state.replaceChildren(troubles(last));
    ledger.replaceChildren(flow(last.ledger));
    window.dispatchEvent(new CustomEvent("weir:dead", { detail: last.ledger.dead_letters }));
    draw();
  });
  const windows = toggle("Minutes shown", [[15, "15 min"], [60, "60 min"]], () => (last ? minutesShown(last.hour) : 60), (window) => { chosen.window = window; draw(); });
  const element = h("div", { class: "view" },
    h("h1", { class: "sr" }, "Overview"),
    state,
    h("div", { class: "head" }, h("h2", {}, "Recent traffic"),
      toggle("Colours by", [["model", "by model"], ["provider", "by provider"]], () => chosen.by, (by) => { chosen.by = by; draw(); }),
      windows),
    figures, legend,
    h("section", { class: "panel" }, h("h2", {}, "Where every event is"), ledger),
    h("section", { class: "panel" }, h("h2", {}, "By model"), models));
  refresh();
  // Minutes pass without requests too.
  const clockwork = setInterval(refresh, 15_000);
  return { title: "Overview", element, refresh, stop: () => { refresh.stop(); clearInterval(clockwork); } };
}
