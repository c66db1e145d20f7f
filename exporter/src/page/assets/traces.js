// The latest requests: a list of which only the rows in sight are there, filtered by the exporter.

import { get, query, refresher } from "./api.js";
import { dot, empty, failed, h } from "./dom.js";
import { bytes, clock, count, money, plural, short, time } from "./format.js";

// Rows made above and below those in sight.
const MARGIN = 8;
// Rows that are asked for at once.
const PAGE = 1000;
const HEAD = 200;

// Lives as long as the page: coming back from a trace finds the list as it was left.
const filter = { text: "", model: "", provider: "", key: "", status: "" };
let left = { top: 0, active: 0 };

const STATUSES = [["", "any status"], ["ok", "ok"], ["error", "failed"], ["2xx", "2xx"], ["4xx", "4xx"], ["429", "429"], ["5xx", "5xx"]];

export const statusKind = (row) => (row.error ? (row.status >= 400 && row.status < 500 && row.status !== 429 ? "warn" : "bad") : "ok");

const cell = (kind, ...children) => h("span", { class: `td ${kind}`, role: "cell" }, children);

function line(row, at) {
  const answered = row.answered && row.answered !== row.model ? row.answered : "";
  return h("div", { class: "tr", role: "row", id: `row-${row.n}`, "aria-rowindex": at + 2, data: { id: row.id, at } },
    cell("t-time", clock(row.at_ms)),
    cell("t-status", dot(statusKind(row)), String(row.status || "–")),
    cell("t-model", h("b", {}, row.model || row.path), answered && h("small", {}, answered)),
    cell("t-provider", row.provider || "–", row.attempts > 1 && h("small", { title: `${row.attempts} attempts` }, `×${row.attempts}`)),
    cell("t-key", row.key || "–"),
    cell("t-latency n", time(row.duration_ms)),
    cell("t-first n", row.first_token_ms == null ? "–" : time(row.first_token_ms)),
    cell("t-tokens n", row.input == null && row.output == null ? "–" : `${short(row.input ?? 0)} → ${short(row.output ?? 0)}`),
    cell("t-cost n", money(row.cost)),
    cell("t-error", row.error && h("span", { class: "bad" }, row.error)),
    cell("t-done", h("span", { class: row.settled ? "done" : "waits", title: row.settled ? "every destination has settled it" : "a destination has yet to take it" }, row.settled ? "✓" : "…")));
}

export function traces() {
  let rows = [];
  let matching = 0;
  let fresh = 0;
  let problem = null;
  let paused = false;
  let loaded = false;

  const space = h("div", { class: "space" });
  const list = h("div", { class: "rows", role: "rowgroup", tabindex: 0, "aria-label": "Requests, the latest first" }, space);
  const head = h("div", { class: "tr th", role: "row" },
    [["t-time", "Time"], ["t-status", "Status"], ["t-model", "Model"], ["t-provider", "Provider"], ["t-key", "Key"], ["t-latency n", "Latency"], ["t-first n", "First token"], ["t-tokens n", "Tokens"], ["t-cost n", "Cost"], ["t-error", "Error"], ["t-done", ""]]
      .map(([kind, name]) => h("span", { class: `td ${kind}`, role: "columnheader" }, name)));
  const table = h("div", { class: "grid", role: "table", "aria-label": "Requests" }, head, list);
  const message = h("div", {});
  const summary = h("p", { class: "quiet summary", role: "status" });
  const jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => { list.scrollTop = 0; fresh = 0; draw(); } });

  let height = 0;
  let drawn = new Map();
  let active = left.active;
  let waiting = false;

  const rowHeight = () => (matchMedia("(max-width: 720px)").matches ? 58 : 34);

  // Makes the rows in sight and lets the others go.
  function draw(anew = false) {
    height = rowHeight();
    head.style.setProperty("padding-right", `${14 + list.offsetWidth - list.clientWidth}px`);
    space.style.setProperty("height", `${rows.length * height}px`);
    const first = Math.max(0, Math.floor(list.scrollTop / height) - MARGIN);
    const last = Math.min(rows.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + MARGIN);
    const next = new Map();
    for (let at = first; at < last; at++) {
      const row = rows[at];
      let element = anew ? null : drawn.get(row);
      if (!element) element = line(row, at);
      element.dataset.at = at;
      element.style.setProperty("transform", `translateY(${at * height}px)`);
      element.classList.toggle("active", at === active);
      next.set(row, element);
    }
    for (const [row, element] of drawn) if (next.get(row) !== element) element.remove();
    for (const element of next.values()) if (!element.isConnected) space.append(element);
    drawn = next;
    left = { top: list.scrollTop, active };
    if (list.scrollTop < height) fresh = 0;
    jump.hidden = !fresh;
    jump.textContent = `${plural(fresh, "new request")} ↑`;
    if (last > rows.length - 50 && rows.length < matching && rows.length >= PAGE) more();
  }

  function say(answer) {
    const { room } = answer;
    const some = matching !== room.held ? `${count(matching)} of ${count(room.held)} match` : `the latest ${plural(room.held, "request")}`;
    summary.textContent = room.most === 0 ? "" : `${some} · ${bytes(room.bytes)} of ${bytes(room.most_bytes)}, ${count(room.most)} at most`;
    const nothing = rows.length === 0;
    table.hidden = nothing;
    if (!nothing) message.replaceChildren();
    else if (room.most === 0) message.replaceChildren(empty("Requests are not listed", "page.traces is 0 in the exporter's configuration."));
    else if (room.held === 0) message.replaceChildren(empty("No request yet", "Send one through the gateway: it shows up here at once."));
    else message.replaceChildren(empty("No request matches", h("button", { type: "button", onclick: clear }, "Clear the filters")));
  }

  const offer = (select, name, values) => {
    const wished = ["", ...values];
    if (filter[name] && !wished.includes(filter[name])) wished.push(filter[name]);
    if (wished.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
    select.replaceChildren(...wished.map((value) => h("option", { value }, value || `any ${name}`)));
    select.value = filter[name];
  };

  const ask = (more) => get(query("traces", { ...filter, ...more }));

  async function load(anew) {
    try {
      let answer = await ask({ limit: anew || !loaded ? PAGE : HEAD });
      // What is newer than all that is here, and what is known of the others by now.
      const newest = rows[0]?.n ?? 0;
      const gap = loaded && !anew && answer.requests.length === HEAD && answer.requests.at(-1).n > newest;
      if (gap) answer = await ask({ limit: PAGE });
      problem = null;
      const added = anew || !loaded || gap ? 0 : answer.requests.filter((row) => row.n > newest).length;
      const oldest = answer.requests.at(-1)?.n ?? Infinity;
      const changed = new Map(rows.map((row) => [row.n, row]));
      const top = answer.requests.map((row) => {
        const known = changed.get(row.n);
        return known && known.settled === row.settled ? known : row;
      });
      rows = anew || !loaded || gap ? top : [...top, ...rows.filter((row) => row.n < oldest)];
      matching = answer.matching;
      rows.length = Math.min(rows.length, matching);
      loaded = true;
      offer(selects.model, "model", answer.values.models);
      offer(selects.provider, "provider", answer.values.providers);
      offer(selects.key, "key", answer.values.keys);
      say(answer);
      if (anew) list.scrollTop = 0;
      // Rows that come do not push away those that are being read.
      if (added && list.scrollTop >= rowHeight()) {
        space.style.setProperty("height", `${rows.length * rowHeight()}px`);
        list.scrollTop += added * rowHeight();
        active += added;
        fresh += added;
      }
      draw();
    } catch (error) {
      problem = error;
      if (!loaded) message.replaceChildren(failed(error, () => refresh()));
    }
  }

  async function more() {
    if (waiting) return;
    waiting = true;
    try {
      const answer = await ask({ limit: PAGE, before: rows.at(-1).n });
      if (!answer.requests.length) matching = rows.length;
      rows = [...rows, ...answer.requests];
      draw();
    } catch { /* the next scroll asks again */ }
    waiting = false;
  }

  const refresh = refresher(() => load(false), 500);
  const search = () => load(true);

  function clear() {
    for (const name of Object.keys(filter)) filter[name] = "";
    text.value = "";
    status.value = "";
    search();
  }

  let typing = null;
  const text = h("input", { type: "search", value: filter.text, placeholder: "Trace, event, response or conversation id", "aria-label": "Text of ids, user or path", oninput: () => {
    clearTimeout(typing);
    typing = setTimeout(() => { filter.text = text.value; search(); }, 200);
  } });
  const choice = (name, options) => {
    const select = h("select", { "aria-label": name, onchange: () => { filter[name] = select.value; search(); } }, options.map(([value, label]) => h("option", { value }, label)));
    select.value = filter[name];
    return select;
  };
  const selects = Object.fromEntries(["model", "provider", "key"].map((name) => [name, choice(name, [["", `any ${name}`]])]));
  const status = choice("status", STATUSES);
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    if (!paused) refresh();
  } }, "Pause");

  const open = (at) => {
    const row = rows[at];
    if (!row) return;
    left = { top: list.scrollTop, active: at };
    location.hash = `#/traces/${encodeURIComponent(row.id)}`;
  };
  list.addEventListener("click", (event) => {
    const element = event.target.closest(".tr");
    if (element) open(Number(element.dataset.at));
  });
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / height) - 1);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: rows.length - 1 }[event.key];
    if (event.key === "Enter") open(active);
    if (to === undefined) return;
    event.preventDefault();
    active = Math.max(0, Math.min(rows.length - 1, to));
    if (active * height < list.scrollTop) list.scrollTop = active * height;
    else if ((active + 1) * height > list.scrollTop + list.clientHeight) list.scrollTop = (active + 1) * height - list.clientHeight;
    draw();
    list.setAttribute("aria-activedescendant", `row-${rows[active]?.n}`);
  });
  let frame = 0;
  list.addEventListener("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => draw());
  }, { passive: true });
  const resized = new ResizeObserver(() => draw(true));
  resized.observe(list);

  load(false).then(() => {
    list.scrollTop = left.top;
    draw();
  });

  return {
    title: "Traces",
    keepsScroll: true,
    element: h("div", { class: "view tall" },
      h("h1", { class: "sr" }, "Traces"),
      h("div", { class: "filters" }, text, selects.model, selects.provider, selects.key, status, pause),
      summary, jump, message, table),
    refresh: () => { if (!paused) refresh(); },
    stop: () => { refresh.stop(); resized.disconnect(); clearTimeout(typing); },
  };
}
