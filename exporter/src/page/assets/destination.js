// One destination as a form: to add one, to change one, or to look at one that is locked.

import { api, get } from "./api.js";
import { dialog, dot, failed, h, toast } from "./dom.js";
import { plural, sentence } from "./format.js";
import { HEALTH } from "./settings.js";

// Headers of such names carry secrets, marked or not; the exporter uses the same rule.
const SECRET = /auth|key|token|secret|password|cookie/i;
const isSet = (value) => value != null && typeof value === "object" && value.set === true;
const list = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
const listed = (value) => (value == null ? "" : [value].flat().join(", "));

let ids = 0;

// A labelled control with its hint and the place for its error.
function field(path, label, control, hint) {
  const id = `f${++ids}`;
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  return h("div", { class: "field", data: { field: path } }, h("label", { for: id }, label), control,
    h("p", { class: "quiet", id: `${id}-hint` }, hint ?? ""), h("p", { class: "error", id: `${id}-error`, role: "alert" }));
}

const input = (value, more) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: value ?? "", ...more });
const select = (value, options) => {
  const element = h("select", {}, options.map(([key, label]) => h("option", { value: key }, label)));
  element.value = value ?? options[0][0];
  return element;
};

// A secret: never shown, unchanged unless another is entered.
function secret(current, disabled) {
  const element = input("", { type: "password", autocomplete: "new-password", disabled });
  if (isSet(current)) element.placeholder = current.last4 ? `•••• ${current.last4}: unchanged unless you enter another` : "•••• unchanged unless you enter another";
  return element;
}
const change = (element, current) => (element.value ? { set: element.value } : isSet(current) ? "keep" : undefined);

// Rows of name and value, some of them secret.
function pairs(path, entries, { secrets, names, disabled, canSave }) {
  const rows = h("div", { class: "pairs" });
  const add = (name = "", value = "") => {
    const key = input(name, { "aria-label": `${names} name`, placeholder: names === "header" ? "x-api-key" : "name" });
    const held = isSet(value);
    const text = held || (secrets && SECRET.test(name)) ? secret(value, !canSave && !held) : input(value, { "aria-label": `${names} value`, placeholder: "value" });
    text.setAttribute("aria-label", `${names} value`);
    const hidden = secrets ? h("input", { type: "checkbox", "aria-label": "secret", checked: held || SECRET.test(name) }) : null;
    const veil = () => {
      if (SECRET.test(key.value)) hidden.checked = true;
      text.type = hidden.checked ? "password" : "text";
      text.disabled = hidden.checked && !canSave && !held;
    };
    if (hidden) {
      key.addEventListener("input", veil);
      hidden.addEventListener("change", veil);
    }
    const row = h("div", { class: "pair", data: { field: "" } }, key, text, hidden && h("label", { class: "tick" }, hidden, "secret"),
      h("button", { type: "button", class: "ghost", "aria-label": `Remove this ${names}`, onclick: () => row.remove() }, "✕"), h("p", { class: "error", role: "alert" }));
    row.read = () => ({ name: key.value.trim(), value: text.value, secret: Boolean(hidden?.checked), current: value, row });
    rows.append(row);
    return row;
  };
  for (const [name, value] of entries) add(name, value);
  const element = h("div", { class: "field", data: { field: path } }, rows,
    !disabled && h("button", { type: "button", onclick: () => add().querySelector("input").focus() }, `Add a ${names}`), h("p", { class: "error", role: "alert" }));
  element.read = () => [...rows.children].map((row) => row.read()).filter((one) => {
    one.row.dataset.field = `${path}.${one.name}`;
    return one.name || one.value;
  });
  return element;
}

export function destination(name) {
  const isNew = name === undefined;
  const element = h("div", { class: "view narrow" }, h("p", { class: "quiet" }, "Loading …"));
  const state = h("div", {});
  let original = null;
  let revision = null;

  const showState = (one) => {
    const [kind, word] = HEALTH[one.state.health] ?? ["note", one.state.health];
    state.replaceChildren(h("p", { class: "row" }, dot(kind), h("b", {}, word), h("span", {}, one.state.message ?? "")));
  };

  async function load() {
    try {
      const answer = await get("destinations");
      const found = answer.destinations.find((one) => one.name === name);
      if (!isNew && !found) {
        element.replaceChildren(back(), failed(new Error(`there is no destination named ${name}`)));
        return;
      }
      original = found ?? null;
      revision = found?.revision ?? null;
      element.replaceChildren(form(found, answer.secrets));
      if (found) showState(found);
    } catch (error) {
      element.replaceChildren(back(), failed(error, load));
    }
  }

  const back = () => h("a", { href: "#/settings", class: "back" }, "← OTEL Config");

  function form(found, secrets) {
    const settings = found?.settings ?? { type: "middleware" };
    const locked = found?.locked ?? false;
    const other = !["middleware", "otlp"].includes(settings.type);
    const canSave = secrets.can_save;
    const seal = canSave ? undefined : `Secrets cannot be saved here. ${sentence(secrets.reason)}`;
    const c = {
      name: input(name ?? "middleware", { maxlength: 64, required: true }),
      tenant: input(settings.tenant, { placeholder: "acme" }),
      key: secret(settings.key, !canSave && !isSet(settings.key)),
      base: input(settings.type === "middleware" ? settings.endpoint : ""),
      source: input(settings.trace_source, { placeholder: "openinference" }),
      endpoint: input(settings.type === "otlp" ? settings.endpoint : "", { placeholder: "https://collector.example.com/v1/traces", inputmode: "url" }),
      protocol: select(settings.protocol, [["http/protobuf", "HTTP, protobuf"], ["http/json", "HTTP, JSON"], ["grpc", "gRPC"]]),
      compression: select(settings.compression, [["gzip", "gzip"], ["none", "none"]]),
      exclude: h("input", { type: "checkbox", role: "switch", checked: Boolean(settings.exclude_request_data) }),
      openinference: h("input", { type: "checkbox", checked: settings.overlays ? settings.overlays.includes("openinference") : settings.type === "middleware" }),
      tfy: h("input", { type: "checkbox", checked: Boolean(settings.overlays?.includes("tfy")) }),
      model: input(listed(settings.when?.model), { placeholder: "gpt-4o*, claude-*" }),
      provider: input(listed(settings.when?.provider)),
      whenKey: input(listed(settings.when?.key)),
      status: input(listed(settings.when?.status), { placeholder: "429, 5xx" }),
      timeout: input(settings.timeout, { placeholder: "10s" }),
      limit: input(settings.value_limit, { inputmode: "numeric", placeholder: "no limit" }),
      concurrency: input(settings.concurrency, { inputmode: "numeric", placeholder: "4" }),
      metrics: input(settings.metrics === false ? "off" : settings.metrics, { placeholder: "beside the traces" }),
    };
    const headers = pairs("headers", Object.entries(settings.headers ?? {}), { secrets: true, names: "header", disabled: locked, canSave });
    const resource = pairs("resource", Object.entries(settings.resource ?? {}), { names: "attribute", disabled: locked });
    const metadata = pairs("when.metadata", Object.entries(settings.when?.metadata ?? {}).map(([key, value]) => [key, listed(value)]), { names: "metadata entry", disabled: locked });
    let type = settings.type;
    const kinds = [["middleware", "Middleware"], ["otlp", "Any OTLP endpoint"]].map(([value, label]) => {
      const radio = h("input", { type: "radio", name: "type", value, checked: type === value, onchange: () => choose(value) });
      return h("label", { class: "choice" }, radio, label);
    });
    const middleware = h("div", {},
      field("tenant", "Tenant", c.tenant, "The first part of your Middleware address: https://<tenant>.middleware.io"),
      field("key", "API key", c.key, seal ?? "Sealed before it is stored, and never shown again."));
    const otlp = h("div", {},
      field("endpoint", "Endpoint", c.endpoint, "Used as it is; for HTTP usually …/v1/traces, for gRPC …:4317."),
      h("div", { class: "two" }, field("protocol", "Protocol", c.protocol)));
    const advancedOfMiddleware = h("div", {},
      field("endpoint", "Base URL in place of the tenant's", c.base, "For a Middleware of your own; v1/traces is appended."),
      field("trace_source", "X-Trace-Source", c.source));
    const problem = h("div", { class: "problem", role: "alert" });
    const result = h("div", { class: "result", role: "status" });

    function choose(value) {
      if (isNew && c.name.value === (value === "otlp" ? "middleware" : "collector")) c.name.value = value === "otlp" ? "collector" : "middleware";
      if (isNew) c.openinference.checked = value === "middleware";
      type = value;
      middleware.hidden = advancedOfMiddleware.hidden = value !== "middleware";
      otlp.hidden = value !== "otlp";
    }

    // What is entered, over what was there: what the form does not know stays.
    function entered() {
      const next = structuredClone(settings);
      const set = (key, value) => { if (value === "" || value == null || value === false) delete next[key]; else next[key] = value; };
      next.type = type;
      const mw = type === "middleware";
      set("tenant", mw ? c.tenant.value.trim() : "");
      delete next.key;
      set("endpoint", mw ? c.base.value.trim() : c.endpoint.value.trim());
      set("trace_source", mw ? c.source.value.trim() : "");
      set("protocol", mw || (c.protocol.value === "http/protobuf" && !settings.protocol) ? "" : c.protocol.value);
      set("compression", c.compression.value === "gzip" && !settings.compression ? "" : c.compression.value);
      set("exclude_request_data", c.exclude.checked);
      const overlays = [["openinference", c.openinference], ["tfy", c.tfy]].filter(([, box]) => box.checked).map(([one]) => one);
      const usual = mw ? "openinference" : "";
      if (overlays.join() === usual && !settings.overlays) delete next.overlays;
      else next.overlays = overlays;
      const when = {};
      for (const [key, control] of [["model", c.model], ["provider", c.provider], ["key", c.whenKey], ["status", c.status]]) if (list(control.value).length) when[key] = list(control.value);
      const wanted = metadata.read();
      if (wanted.length) when.metadata = Object.fromEntries(wanted.map((one) => [one.name, list(one.value)]));
      set("when", Object.keys(when).length ? when : null);
      const attributes = resource.read();
      set("resource", attributes.length ? Object.fromEntries(attributes.map((one) => [one.name, one.value])) : null);
      set("timeout", c.timeout.value.trim());
      const number = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : text.trim());
      set("value_limit", number(c.limit.value));
      set("concurrency", number(c.concurrency.value));
      const metrics = c.metrics.value.trim();
      set("metrics", metrics);
      if (metrics === "off") next.metrics = false;
      const secretsNow = {};
      if (mw) secretsNow.key = change(c.key, settings.key);
      const plain = {};
      for (const one of headers.read()) {
        if (one.secret) secretsNow[`headers.${one.name.toLowerCase()}`] = one.value ? { set: one.value } : isSet(one.current) ? "keep" : { set: "" };
        else plain[one.name] = one.value;
      }
      set("headers", Object.keys(plain).length ? plain : null);
      return { revision, settings: next, secrets: JSON.parse(JSON.stringify(secretsNow)) };
    }

    function clear() {
      problem.replaceChildren();
      result.replaceChildren();
      for (const error of element.querySelectorAll(".error")) error.textContent = "";
      for (const bad of element.querySelectorAll("[aria-invalid]")) bad.removeAttribute("aria-invalid");
    }

    // An error beside the field that caused it: the field itself, else the nearest that holds it.
    function blame({ field: path, message }) {
      if (path === "endpoint" && type === "middleware" && !c.base.value.trim()) path = "tenant";
      for (let part = (path ?? "").toLowerCase(); part; part = part.replace(/[.[]?[^.[]*$/, "")) {
        const found = [...element.querySelectorAll(".field, .pair")].find((one) => one.dataset.field?.toLowerCase() === part && !one.closest("[hidden]"));
        if (found) {
          [...found.querySelectorAll(".error")].at(-1).textContent = `${message}`;
          const control = found.querySelector("input, select");
          control?.setAttribute("aria-invalid", "true");
          const details = found.closest("details");
          if (details) details.open = true;
          return control;
        }
      }
      problem.append(h("p", {}, path ? `${path}: ${message}` : message));
      return null;
    }

    function show(error) {
      const controls = error.errors?.length ? error.errors.map(blame) : [blame({ field: null, message: error.message })];
      (controls.find(Boolean) ?? problem).focus?.();
    }

    const busy = async (button, words, does) => {
      const text = button.textContent;
      clear();
      button.disabled = true;
      button.textContent = words;
      try {
        await does();
      } catch (error) {
        if (error.status === 409 && error.body?.current !== undefined) await conflict(error.body.current);
        else show(error);
      }
      button.disabled = false;
      button.textContent = text;
    };

    async function conflict(current) {
      const theirs = current?.settings ?? {};
      const mine = entered().settings;
      const keys = [...new Set([...Object.keys(theirs), ...Object.keys(mine)])].filter((key) => key !== "key" && JSON.stringify(theirs[key]) !== JSON.stringify(mine[key]));
      const answer = await dialog("Somebody else changed this meanwhile", [
        h("p", {}, current ? `${name ?? c.name.value} was saved by someone else since you opened it.` : "It was removed since you opened it."),
        keys.length ? h("p", {}, "Yours and theirs differ in: ", h("b", {}, keys.join(", ")), ".") : null,
      ], [["Keep editing", ""], ["Load theirs", "theirs"], ["Save mine over it", "mine", "danger"]]);
      if (answer === "theirs") {
        if (isNew) location.hash = `#/settings/${encodeURIComponent(c.name.value.trim())}`;
        else await load();
      }
      if (answer === "mine") {
        revision = current?.revision ?? null;
        save.click();
      }
    }

    const path = () => `destinations/${encodeURIComponent(c.name.value.trim())}`;
    const test = h("button", { type: "button", onclick: () => busy(test, "Testing …", async () => {
      const answer = await api("POST", "destinations/test", locked ? { name } : { name: c.name.value.trim(), ...entered() });
      result.replaceChildren(h("div", { class: answer.ok ? "panel good" : "panel wrong" },
        h("p", { class: "row" }, dot(answer.ok ? "ok" : "bad"), h("b", {}, answer.ok ? "It works." : "It does not work."), h("span", {}, answer.words)),
        h("p", { class: "quiet" }, [answer.status && `HTTP ${answer.status}`, answer.latency_ms != null && `${Math.round(answer.latency_ms)} ms`].filter(Boolean).join(" · ")),
        answer.ok && answer.trace_id && h("p", { class: "quiet" }, "Look there for trace ", h("code", {}, answer.trace_id), ", model weir-test."),
        answer.said && h("pre", {}, answer.said)));
      if (!answer.ok && answer.field) blame({ field: answer.field, message: answer.words });
    }) }, "Test");
    const save = h("button", { type: "submit", class: "primary" }, "Save");
    const remove = !isNew && !locked && h("button", { type: "button", class: "danger", onclick: () => busy(remove, "Removing …", () => removal(found.state.backlog)) }, "Remove");

    async function removal(backlog) {
      const waiting = backlog ? `${plural(backlog, "event")} that wait for it will not be delivered.` : "No event waits for it.";
      if ((await dialog(`Remove ${name}?`, [h("p", {}, waiting)], [["Cancel", ""], ["Remove", "yes", "danger"]])) !== "yes") return;
      try {
        await api("DELETE", `destinations/${encodeURIComponent(name)}?revision=${revision}&backlog=${backlog}`);
      } catch (error) {
        const grown = error.body?.backlog;
        if (error.status === 409 && grown != null) return removal(grown);
        throw error;
      }
      toast(`${name} is removed`);
      location.hash = "#/settings";
    }

    const submit = (event) => {
      event.preventDefault();
      busy(save, "Saving …", async () => {
        const answer = await api("PUT", path(), entered());
        toast(`${answer.name} is saved and takes effect now`);
        if (answer.warnings?.length) await dialog("Saved, with a warning", answer.warnings.map((one) => h("p", {}, one.field && h("b", {}, `${one.field}: `), one.message)), [["OK", ""]]);
        location.hash = "#/settings";
      });
    };
    choose(type);
    if (other || locked) middleware.hidden ||= false;
    const tick = (control, label, hint) => h("div", { class: "switch" }, control, h("div", {}, h("label", { for: (control.id = `f${++ids}`) }, label), hint && h("p", { class: "quiet" }, hint)));
    return h("div", { class: "stack" }, back(),
      h("div", { class: "head" }, h("h1", {}, isNew ? "Add a destination" : name)),
      state,
      locked && h("p", { class: "hint" }, dot("note"), `It stands in the exporter's ${found.source === "file" ? "file" : "environment"} and is changed there; here it is shown and locked.`),
      other ? h("pre", {}, JSON.stringify(settings, null, 2)) : h("form", { onsubmit: submit, novalidate: true }, problem,
        h("fieldset", { disabled: locked, class: "panel" },
          isNew && h("div", { class: "choices", role: "radiogroup", "aria-label": "Type" }, kinds),
          isNew && field("name", "Name", c.name, "Letters, digits, - and _."),
          middleware, otlp,
          tick(c.exclude, "Exclude Request Data", "Prompts, responses and error texts are not sent there."),
          h("details", { open: Object.keys(settings.headers ?? {}).length > 0 }, h("summary", {}, "Headers"), h("p", { class: "quiet" }, seal ?? "They go with every POST. A secret one is sealed like a key."), headers),
          h("details", { open: Object.keys(settings.resource ?? {}).length > 0 }, h("summary", {}, "Resource attributes"), resource),
          h("details", { open: Boolean(settings.when) }, h("summary", {}, "Only some requests (when)"), h("p", { class: "quiet" }, "All that is named must hold. Several are separated by commas; * stands for anything."),
            h("div", { class: "two" }, field("when.model", "Model", c.model), field("when.provider", "Provider", c.provider), field("when.key", "Key", c.whenKey), field("when.status", "Status", c.status)), h("h3", {}, "Metadata"), metadata),
          h("details", {}, h("summary", {}, "More"),
            h("div", { class: "field", data: { field: "overlays" } }, h("b", {}, "Overlays"), h("p", { class: "quiet" }, "Further names by which spans carry their facts."),
              h("label", { class: "tick" }, c.openinference, "OpenInference"), h("label", { class: "tick" }, c.tfy, "TrueFoundry"), h("p", { class: "error", role: "alert" })),
            h("div", { class: "two" }, field("compression", "Compression", c.compression), field("timeout", "Timeout of one POST", c.timeout), field("concurrency", "POSTs at once", c.concurrency), field("value_limit", "Longest value, in characters", c.limit)),
            field("metrics", "Metrics", c.metrics, "A URL, or off."), advancedOfMiddleware)),
        result,
        h("div", { class: "actions end" }, remove, h("span", { class: "grow" }), test, !locked && save)));
  }

  load();
  return {
    title: isNew ? "Add a destination" : name,
    element,
    refresh: async (kind) => {
      if (kind !== "state" || !original) return;
      try {
        const found = (await get("destinations")).destinations.find((one) => one.name === name);
        if (found) showState(found);
      } catch { /* it is shown as it was */ }
    },
  };
}
