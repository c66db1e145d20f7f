// Where traces go: the destinations with their state, the switch for all of them, who changed what.

import { api, get, refresher } from "./api.js";
import { dot, empty, failed, h, toast } from "./dom.js";
import { day, sentence } from "./format.js";

const TYPES = { middleware: "Middleware", otlp: "OTLP", console: "Console", file: "File" };
export const HEALTH = { ok: ["ok", "delivering"], retrying: ["warn", "retrying"], refusing: ["bad", "refusing"], off: ["note", "off"], starting: ["note", "starting"] };

const target = ({ settings }) =>
  settings.endpoint ?? (settings.tenant ? `https://${settings.tenant}.middleware.io` : settings.path ?? (settings.type === "console" ? "standard output" : "by the environment"));

function card(one) {
  const [kind, word] = HEALTH[one.state.health] ?? ["note", one.state.health];
  const { settings } = one;
  return h("a", { class: "panel destination", href: `#/settings/${encodeURIComponent(one.name)}` },
    h("div", { class: "row" }, dot(kind), h("b", {}, one.name), h("span", { class: "chip" }, TYPES[one.type] ?? one.type),
      one.locked && h("span", { class: "chip", title: "Set in the exporter's file or environment; change it there." }, `locked: ${one.source}`),
      settings.exclude_request_data && h("span", { class: "chip" }, "no request data"),
      h("span", { class: "grow" }), h("span", { class: `word ${kind}` }, word)),
    h("div", { class: "quiet mono" }, target(one)),
    one.state.message && h("p", { class: kind === "ok" ? "quiet" : "" }, one.state.message));
}

export function settings() {
  const list = h("div", { class: "destinations" }, h("p", { class: "quiet" }, "Loading …"));
  const policy = h("div", {});
  const audit = h("div", {});

  const load = async (element, path, show) => {
    try {
      element.replaceChildren(show(await get(path)));
    } catch (error) {
      element.replaceChildren(failed(error, refresh));
    }
  };

  function showPolicy(answer) {
    const on = answer.switch === "exclude";
    const box = h("input", { type: "checkbox", role: "switch", id: "exclude", checked: on, onchange: async () => {
      box.disabled = true;
      try {
        await api("PUT", "policy", { revision: answer.revision, switch: box.checked ? "exclude" : "off" });
        toast(box.checked ? "Prompts and responses stay in Envoy from now on" : "The gateway's own configuration decides again");
      } catch (error) {
        toast(error.status === 409 ? "Somebody else changed it meanwhile: look again." : `${error.message}.`, true);
      }
      await load(policy, "policy", showPolicy);
      document.getElementById("exclude")?.focus();
      load(audit, "audit?limit=20", showAudit);
    } });
    return h("div", { class: "switch" }, box, h("div", {},
      h("label", { for: "exclude" }, "Exclude request data everywhere"),
      h("p", { class: "quiet" }, "Prompts, responses and error texts stay in Envoy: within a second no worker sends them, and events on the way are stripped before they are stored."),
      h("p", {}, dot(answer.content === "exclude" ? "ok" : "note"), h("b", {}, answer.content === "exclude" ? "Content is excluded now. " : "Content is captured where gateway.yaml allows it. "), h("span", { class: "quiet" }, answer.why ?? ""))));
  }

  function showAudit({ entries }) {
    if (!entries.length) return h("p", { class: "quiet" }, "Nothing was changed here yet.");
    return h("div", { class: "wide" }, h("table", { class: "stacks" },
      h("thead", {}, h("tr", {}, ["When", "Who", "What", "Changes"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, entries.map((one) => h("tr", {},
        h("td", { "data-name": "When" }, h("time", { datetime: one.at }, day(Date.parse(one.at)))),
        h("td", { "data-name": "Who" }, one.actor, one.address && h("small", {}, ` ${one.address}`)),
        h("td", { "data-name": "What" }, one.what, " ", one.name && h("b", {}, one.name)),
        h("td", { "data-name": "Changes" }, (one.changes ?? []).join(", ")))))));
  }

  const destinations = () => load(list, "destinations", ({ destinations: all, secrets }) => h("div", { class: "destinations" },
    !secrets.can_save && h("p", { class: "hint" }, dot("note"), h("span", {}, h("b", {}, "Secrets cannot be saved here. "), sentence(secrets.reason))),
    all.length ? all.map(card) : empty("No destination yet", "Events are stored in the stream until there is one.")));
  const refresh = refresher(async () => { await Promise.all([destinations(), load(policy, "policy", showPolicy), load(audit, "audit?limit=20", showAudit)]); });
  const refreshList = refresher(destinations, 1500);
  refresh();
  return {
    title: "OTEL Config",
    element: h("div", { class: "view narrow" },
      h("div", { class: "head" }, h("h1", {}, "OTEL Config"), h("a", { class: "button primary", href: "#/add-destination" }, "Add a destination")),
      list,
      h("section", { class: "panel" }, h("h2", {}, "For all destinations"), policy),
      h("section", { class: "panel" }, h("h2", {}, "Who changed what"), audit)),
    refresh: (kind) => { if (kind === "state") refreshList(); },
    stop: () => { refresh.stop(); refreshList.stop(); },
  };
}
