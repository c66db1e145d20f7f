// Making elements. Text is only ever set as text, so nothing that callers or providers chose becomes markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value" || name === "checked") element[name] = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name === "class" ? "class" : name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child != null && child !== false));
  return element;
}

export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
export const s = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

export function toast(text, bad = false) {
  const one = h("p", { class: bad ? "toast bad" : "toast" }, text);
  document.getElementById("toasts").append(one);
  setTimeout(() => one.remove(), bad ? 8000 : 3500);
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    // Without https, away from this machine, browsers give no clipboard: the text is shown to be copied by hand.
    const area = h("textarea", { readonly: true, rows: 8, "aria-label": what }, text);
    dialog(what, [area], [["Close", null]]);
    area.select();
  }
}

// A dialog; gives which of its buttons was pressed. Buttons: [label, value, class].
export function dialog(title, body, buttons) {
  return new Promise((done) => {
    const element = h("dialog", { "aria-label": title }, h("h2", {}, title), body,
      h("div", { class: "actions" }, buttons.map(([label, value, kind]) =>
        h("button", { type: "button", class: kind ?? "", onclick: () => { element.returnValue = value ?? ""; element.close(); } }, label))));
    element.addEventListener("close", () => { element.remove(); done(element.returnValue); });
    document.body.append(element);
    element.showModal();
  });
}

export const sure = async (title, text, verb) =>
  (await dialog(title, [h("p", {}, text)], [["Cancel", ""], [verb, "yes", "danger"]])) === "yes";

export const empty = (title, ...rest) => h("div", { class: "empty" }, h("b", {}, title), h("p", {}, rest));

export const failed = (error, again) =>
  h("div", { class: "empty bad", role: "alert" }, h("b", {}, "This could not be loaded"), h("p", {}, `${error.message}.`),
    again && h("button", { type: "button", onclick: again }, "Try again"));

export const dot = (kind) => h("i", { class: `dot ${kind}`, "aria-hidden": "true" });
