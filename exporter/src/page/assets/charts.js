// Small charts: stacked bars and lines, one figure a minute. Drawn to fill their box at any width.

import { h, s } from "./dom.js";
import { clock } from "./format.js";

const WIDTH = 600;
const HEIGHT = 100;

// A round number at or above `most`.
function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= most * 0.999);
}

// { label, minutes, format, bars: [{name, color, values}] | lines: [...] }
export function chart({ label, minutes, format, bars, lines }) {
  const series = bars ?? lines;
  const sums = minutes.map((_, at) => series.reduce((sum, one) => sum + (one.values[at] ?? 0), 0));
  const most = bars ? Math.max(...sums, 0) : Math.max(0, ...series.flatMap((one) => one.values.map((value) => value ?? 0)));
  const top = ceiling(most);
  const step = WIDTH / minutes.length;
  const y = (value) => HEIGHT - (value / top) * HEIGHT;
  const drawing = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path", { class: "grid", d: `M0 ${HEIGHT / 2}H${WIDTH}M0 0H${WIDTH}` }));
  if (bars) {
    const gap = Math.min(2, step * 0.25);
    const floor = minutes.map(() => 0);
    for (const one of bars) {
      let path = "";
      one.values.forEach((value, at) => {
        if (!value) return;
        const low = floor[at];
        floor[at] += value;
        path += `M${(at * step + gap / 2).toFixed(2)} ${y(floor[at]).toFixed(2)}h${(step - gap).toFixed(2)}V${y(low).toFixed(2)}h-${(step - gap).toFixed(2)}z`;
      });
      if (path) drawing.append(s("path", { class: `fill c${one.color}`, d: path }));
    }
  } else {
    for (const one of lines) {
      let path = "";
      let pen = false;
      one.values.forEach((value, at) => {
        if (value == null) {
          pen = false;
          return;
        }
        const x = ((at + 0.5) * step).toFixed(2);
        // A value alone between two quiet minutes is a short stroke.
        const alone = one.values[at - 1] == null && one.values[at + 1] == null;
        path += alone ? `M${(at * step).toFixed(2)} ${y(value).toFixed(2)}h${step.toFixed(2)}` : `${pen ? "L" : "M"}${x} ${y(value).toFixed(2)}`;
        pen = true;
      });
      if (path) drawing.append(s("path", { class: `line l${one.color}`, d: path, "vector-effect": "non-scaling-stroke" }));
    }
  }
  const mark = h("div", { class: "mark", hidden: true });
  const tip = h("div", { class: "tip", hidden: true });
  const box = h("div", { class: "plot", role: "img", "aria-label": label, tabindex: 0 }, drawing, mark, tip);
  const has = most > 0;

  function point(at) {
    if (at == null || !has) {
      mark.hidden = tip.hidden = true;
      return;
    }
    mark.hidden = tip.hidden = false;
    mark.style.setProperty("left", `${(100 * at) / minutes.length}%`);
    mark.style.setProperty("width", `${100 / minutes.length}%`);
    const right = at > minutes.length / 2;
    tip.classList.toggle("right", right);
    tip.style.setProperty(right ? "right" : "left", `${right ? 100 - (100 * at) / minutes.length : (100 * (at + 1)) / minutes.length}%`);
    tip.style.removeProperty(right ? "left" : "right");
    const rows = series.filter((one) => one.values[at]).slice(0, 8);
    tip.replaceChildren(
      h("b", {}, clock(minutes[at], false), bars && rows.length ? `  ${format(sums[at])}` : ""),
      ...(rows.length ? rows.map((one) => h("span", {}, h("i", { class: `key c${one.color}` }), one.name, h("em", {}, format(one.values[at])))) : [h("span", {}, "nothing")]),
    );
  }
  let at = null;
  box.addEventListener("pointermove", (event) => {
    const area = box.getBoundingClientRect();
    at = Math.max(0, Math.min(minutes.length - 1, Math.floor(((event.clientX - area.left) / area.width) * minutes.length)));
    point(at);
  });
  box.addEventListener("pointerleave", () => point((at = null)));
  box.addEventListener("blur", () => point((at = null)));
  box.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    at = Math.max(0, Math.min(minutes.length - 1, (at ?? minutes.length - (move > 0 ? 1 : 0)) + move));
    point(at);
  });
  return h("div", { class: "chart" },
    h("div", { class: "top" }, has ? format(top) : ""),
    box,
    h("div", { class: "axis" }, h("span", {}, clock(minutes[0], false)), h("span", {}, "now")));
}
