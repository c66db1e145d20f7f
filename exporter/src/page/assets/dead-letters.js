// Events that a destination refused, with reason, time and spans; replayed or deleted.

import { api, get, query, refresher } from "./api.js";
import { dot, empty, failed, h, sure, toast } from "./dom.js";
import { bytes, count, day, plural } from "./format.js";
import { waterfall } from "./trace.js";

export function deadLetters() {
  const body = h("div", {}, h("p", { class: "quiet" }, "Loading …"));
  const summary = h("p", { class: "quiet", role: "status" });
  const opened = new Map();

  async function act(button, does, done) {
    button.disabled = true;
    try {
      const answer = await does();
      toast(done(answer));
    } catch (error) {
      toast(`${error.message}.`, true);
    }
    button.disabled = false;
    refresh();
  }

  // All of a destination's, in rounds.
  async function all(what, destination, letters) {
    const up_to = Math.max(...letters.map((letter) => letter.number));
    let done = 0;
    for (;;) {
      const answer = await api("POST", `dead-letters/${what}`, { destination, up_to });
      done += answer.done;
      if (!answer.more || !answer.done) return { done };
    }
  }

  const replayed = ({ done }) => `${plural(done, "event")} sent to the destination again`;
  const deleted = ({ done }) => `${plural(done, "dead letter")} deleted`;

  function row(letter) {
    const { number, request } = letter;
    const toggle = h("button", { type: "button", class: "ghost", "aria-expanded": String(opened.has(number)), onclick: () => open(number) }, opened.has(number) ? "Hide" : "Show");
    return [
      h("tr", {},
        h("td", { "data-name": "Refused" }, h("time", { datetime: new Date(letter.at_ms).toISOString() }, day(letter.at_ms))),
        h("td", { "data-name": "Destination" }, letter.destination),
        h("td", { class: "why", "data-name": "Why" }, letter.reason || "no reason given"),
        h("td", { "data-name": "Request" }, request ? [h("b", {}, request.model || request.path), " ", h("small", {}, request.status || "")] : h("span", { class: "quiet" }, "not readable")),
        h("td", { class: "n", "data-name": "Size" }, bytes(letter.bytes)),
        h("td", { class: "actions" }, toggle,
          h("button", { type: "button", onclick: (event) => act(event.target, () => api("POST", `dead-letters/${number}/replay`), replayed) }, "Replay"),
          h("button", { type: "button", class: "danger", onclick: async (event) => {
            if (await sure("Delete this dead letter?", `The event will never reach ${letter.destination}.`, "Delete")) act(event.target, () => api("DELETE", `dead-letters/${number}`), deleted);
          } }, "Delete"))),
      opened.has(number) ? h("tr", { class: "more" }, h("td", { colspan: 6 }, opened.get(number))) : null,
    ];
  }

  async function open(number) {
    if (opened.has(number)) {
      opened.delete(number);
      refresh();
      return;
    }
    try {
      const { spans } = await get(`dead-letters/${number}`);
      opened.set(number, spans ? whole(spans) : h("p", { class: "quiet" }, "This event cannot be read."));
    } catch (error) {
      opened.set(number, failed(error));
    }
    refresh();
  }

  const whole = (spans) => {
    const { chart, detail } = waterfall(spans);
    return h("div", { class: "stack" }, chart, detail);
  };

  const refresh = refresher(async () => {
    let answer;
    try {
      answer = await get(query("dead-letters", { limit: 200 }));
    } catch (error) {
      body.replaceChildren(failed(error, refresh));
      return;
    }
    const { letters, more } = answer;
    window.dispatchEvent(new CustomEvent("weir:dead", { detail: answer.all }));
    summary.textContent = letters.length ? `${plural(answer.all, "event")} refused by a destination${more ? `; the oldest ${count(letters.length)} are shown` : ""}. They are stored for 30 days.` : "";
    if (!letters.length) {
      body.replaceChildren(empty("No dead letters", "An event that a destination refuses for good is set aside here, so that it does not block others."));
      return;
    }
    const destinations = [...new Set(letters.map((letter) => letter.destination))];
    body.replaceChildren(
      h("div", { class: "bulk" }, destinations.map((name) => {
        const mine = letters.filter((letter) => letter.destination === name);
        return h("div", { class: "panel row" }, dot("warn"), h("b", {}, name), h("span", { class: "quiet" }, `${plural(mine.length, "letter")}${more ? " shown" : ""}`),
          h("span", { class: "grow" }),
          h("button", { type: "button", onclick: (event) => act(event.target, () => all("replay", name, mine), replayed) }, "Replay all"),
          h("button", { type: "button", class: "danger", onclick: async (event) => {
            if (await sure(`Delete the dead letters of ${name}?`, `${plural(mine.length, "event")} will never reach it.`, "Delete all")) act(event.target, () => all("purge", name, mine), deleted);
          } }, "Delete all"));
      })),
      h("div", { class: "panel wide" }, h("table", { class: "stacks" },
        h("thead", {}, h("tr", {}, ["Refused", "Destination", "Why", "Request", "Size", ""].map((name, at) => h("th", { scope: "col", class: at === 4 ? "n" : "" }, name)))),
        h("tbody", {}, letters.map(row)))));
  });
  refresh();
  return { title: "Dead letters", element: h("div", { class: "view" }, h("h1", {}, "Dead letters"), summary, body), refresh: (kind) => { if (kind === "state") refresh(); }, stop: refresh.stop };
}
