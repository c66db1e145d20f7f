// Numbers, times and sizes for people.

const whole = new Intl.NumberFormat("en-US");
const small = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

export const count = (n) => (n == null ? "–" : whole.format(n));

export function short(n) {
  if (n == null) return "–";
  if (n < 10_000) return whole.format(Math.round(n));
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (n >= size) return `${small.format(n / size)}${unit}`;
  return whole.format(n);
}

export function money(dollars) {
  if (dollars == null) return "–";
  if (dollars === 0) return "$0";
  if (dollars >= 100) return `$${whole.format(Math.round(dollars))}`;
  if (dollars >= 0.995) return `$${dollars.toFixed(2)}`;
  return `$${Number(dollars.toPrecision(2)).toFixed(12).replace(/0+$/, "").replace(/\.$/, "")}`;
}

export function time(ms) {
  if (ms == null) return "–";
  if (ms < 10) return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.floor(ms / 60_000)} m ${Math.round((ms % 60_000) / 1000)} s`;
}

const two = (n) => String(n).padStart(2, "0");

export function clock(ms, seconds = true) {
  const at = new Date(ms);
  const hm = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return seconds ? `${hm}:${two(at.getSeconds())}` : hm;
}

export function day(ms) {
  const at = new Date(ms);
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return new Date().toDateString() === at.toDateString() ? clock(ms) : `${date} ${clock(ms)}`;
}

export function bytes(n) {
  for (const [size, unit] of [[1 << 30, "GiB"], [1 << 20, "MiB"], [1 << 10, "KiB"]]) if (n >= size) return `${small.format(n / size)} ${unit}`;
  return `${n} B`;
}

// A reason as a sentence.
export const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}` : "");

export const percent = (part, all) => (all ? `${small.format((100 * part) / all)} %` : "0 %");
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
