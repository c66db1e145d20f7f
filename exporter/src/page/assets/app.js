// The frame: who is logged in, which view is shown, what is new.

import { api, get } from "./api.js";
import { failed, h, toast } from "./dom.js";
import { deadLetters } from "./dead-letters.js";
import { destination } from "./destination.js";
import { overview } from "./overview.js";
import { settings } from "./settings.js";
import { trace } from "./trace.js";
import { traces } from "./traces.js";

const main = document.getElementById("main");
const live = document.getElementById("live");
const logout = document.getElementById("logout");

// The view for a path; each gives { title, element, refresh(kind), stop() }.
const VIEWS = [
  [/^overview$/, overview],
  [/^traces$/, traces],
  [/^traces\/([^/]+)$/, trace],
  [/^dead-letters$/, deadLetters],
  [/^settings$/, settings],
  [/^settings\/([^/]+)$/, destination],
  [/^add-destination$/, destination],
];

let view = null;
let source = null;
let loggedIn = false;

function show() {
  if (!loggedIn) return;
  const path = location.hash.replace(/^#\/?/, "") || "overview";
  const found = VIEWS.map(([pattern, make]) => [path.match(pattern), make]).find(([match]) => match);
  view?.stop?.();
  if (!found) {
    location.replace("#/overview");
    return;
  }
  const [match, make] = found;
  try {
    view = make(...match.slice(1).map(decodeURIComponent));
  } catch (error) {
    view = { title: "Error", element: failed(error) };
  }
  document.title = `${view.title} · Weir`;
  main.replaceChildren(view.element);
  for (const link of document.querySelectorAll(".bar nav a")) {
    const mine = path.split("/")[0].replace("add-destination", "settings") === link.getAttribute("href").slice(2);
    if (mine) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!view.keepsScroll) window.scrollTo(0, 0);
}

function say(state, words) {
  live.className = `live ${state}`;
  live.lastElementChild.textContent = words;
}

function listen() {
  source?.close();
  source = new EventSource("/api/events");
  source.addEventListener("open", () => say("on", "live"));
  source.addEventListener("requests", () => view?.refresh?.("requests"));
  source.addEventListener("state", () => view?.refresh?.("state"));
  source.addEventListener("error", async () => {
    say("off", "not connected");
    if (source.readyState !== EventSource.CLOSED) return;
    await new Promise((done) => setTimeout(done, 2000));
    if (loggedIn) await enter();
  });
}

export function deadCount(count) {
  const badge = document.getElementById("dead-count");
  badge.hidden = !count;
  badge.textContent = count > 999 ? "999+" : String(count || "");
}
window.addEventListener("weir:dead", (event) => deadCount(event.detail));

function leave() {
  loggedIn = false;
  source?.close();
  view?.stop?.();
  view = null;
  say("", "logged out");
  logout.hidden = true;
  main.replaceChildren(login());
  main.querySelector("input[type=password]").focus();
}
window.addEventListener("weir:logged-out", () => { if (loggedIn) leave(); });

function login() {
  const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true, "aria-describedby": "token-error" });
  const name = h("input", { id: "name", autocomplete: "username", maxlength: 64, placeholder: "optional" });
  const error = h("p", { class: "error", id: "token-error", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, "Log in");
  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await api("POST", "login", { token: token.value, name: name.value });
      await enter();
    } catch (problem) {
      error.textContent = problem.status === 401 ? "This is not the token." : `${problem.message}.`;
      token.select();
    }
    button.disabled = false;
  }
  return h("form", { class: "panel login", onsubmit: submit },
    h("h1", {}, "Log in to Weir"),
    h("p", { class: "quiet" }, "The token is the one that page.token or WEIR_PAGE_TOKEN of the exporter holds."),
    h("label", { for: "token" }, "Token"), token, error,
    h("label", { for: "name" }, "Your name, for the audit trail"), name,
    button);
}

async function enter() {
  let session;
  try {
    session = await get("session");
  } catch (error) {
    say("off", "not connected");
    main.replaceChildren(failed(error, enter));
    setTimeout(() => { if (!loggedIn && !main.querySelector("form")) enter(); }, 3000);
    return;
  }
  if (!session.logged_in) {
    leave();
    return;
  }
  loggedIn = true;
  logout.hidden = !session.asks_for_token;
  logout.title = session.name ? `logged in as ${session.name}` : "";
  live.title = `weir-exporter ${session.version}`;
  listen();
  show();
}

logout.addEventListener("click", async () => {
  try {
    await api("POST", "logout");
  } catch (error) {
    toast(`${error.message}.`, true);
  }
  leave();
});

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("weir-theme", root.dataset.theme);
  } catch { /* then it holds until the page is left */ }
});

window.addEventListener("hashchange", show);
enter();
