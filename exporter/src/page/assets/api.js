// Talking to /api: JSON both ways, one kind of error.

export class ApiError extends Error {
  constructor(status, body) {
    const errors = body?.errors?.length ? body.errors : body?.error ? [body.error] : [];
    super(errors[0]?.message ?? `the exporter answered ${status}`);
    this.status = status;
    this.errors = errors;
    this.body = body;
  }
}

export async function api(method, path, body) {
  const headers = { accept: "application/json" };
  if (method !== "GET") headers["x-weir-page"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(`/api/${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, { error: { field: null, message: "the exporter does not answer" } });
  }
  if (response.status === 401 && path !== "login") window.dispatchEvent(new Event("weir:logged-out"));
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch { /* not JSON: the status says enough */ }
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

export const get = (path) => api("GET", path);

// The path of a query, without what is empty.
export function query(path, values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== "" && value != null);
  return pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path;
}

// Runs `load` now and whenever it is asked for, one at a time and no oftener than `apart` ms.
export function refresher(load, apart = 800) {
  let running = false;
  let wanted = false;
  let last = 0;
  let stopped = false;
  async function run() {
    if (stopped) return;
    if (running) {
      wanted = true;
      return;
    }
    running = true;
    const pause = last + apart - performance.now();
    if (pause > 0 && last) await new Promise((done) => setTimeout(done, pause));
    wanted = false;
    last = performance.now();
    if (!stopped) await load();
    running = false;
    if (wanted) run();
  }
  run.stop = () => { stopped = true; };
  return run;
}
