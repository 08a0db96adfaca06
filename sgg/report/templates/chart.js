// Curves of several runs over each other: raw and smoothed values, axes with units, values at the pointer.
const CHART = { width: 1000, height: 250, left: 74, right: 12, top: 10, bottom: 40 };
const FEW = 3; // of more lines what was logged is not shown beside their means, unless it is asked for

// A mean over neighbours on both sides, so that a smoothed curve does not lag.
function smoothed(values, window) {
  const half = Math.floor(window / 2);
  return values.map((_, i) => {
    const reach = Math.min(half, i, values.length - 1 - i);
    let sum = 0;
    for (let j = i - reach; j <= i + reach; j += 1) sum += values[j];
    return sum / (2 * reach + 1);
  });
}

function stepOf(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((m) => m * power).find((v) => v >= rough);
}

function ticks(low, high, step) {
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
    for (const m of [1, 2, 5]) if (m * 10 ** power >= low && m * 10 ** power <= high) found.push(m * 10 ** power);
  }
  return found;
}

function drawChart(figure, chart, options) {
  const narrow = figure.clientWidth < 600;
  const c = narrow ? { ...CHART, width: 420, height: 250 } : CHART;
  const lines = chart.lines.filter((line) => line.x.length);
  const xs = lines.flatMap((line) => line.x);
  const looks = looksOf(lines);
  const means = lines.map((line) => smoothed(line.y, Math.max(1, Math.round(line.y.length * options.smooth))));
  const ys = [...means, ...(options.raw ? lines.map((line) => line.y) : [])].flat();
  const logs = options.log && xs.some((x) => x > 0);
  const lowX = logs ? Math.max(1, Math.min(...xs.filter((x) => x > 0))) : Math.min(...xs);
  const highX = Math.max(Math.max(...xs), lowX + 1);
  let [lowY, highY] = [Math.min(...ys), Math.max(...ys)];
  if (lowY === highY) { lowY -= Math.abs(lowY) * 0.1 || 0.5; highY += Math.abs(highY) * 0.1 || 0.5; }
  // an axis that ends at ticks has three of them at least
  const step = stepOf(lowY, highY, 4);
  lowY = Math.floor(lowY / step + 1e-9) * step;
  highY = Math.ceil(highY / step - 1e-9) * step;
  const scale = (x) => (logs ? Math.log10(Math.max(x, lowX)) : x);
  const px = (x) => c.left + ((scale(x) - scale(lowX)) / (scale(highX) - scale(lowX))) * (c.width - c.left - c.right);
  const py = (y) => c.top + (1 - (y - lowY) / (highY - lowY)) * (c.height - c.top - c.bottom);
  const floor = c.height - c.bottom;
  const path = (line, values) => line.x.map((x, i) => `${px(x).toFixed(1)},${py(values[i]).toFixed(1)}`).join(" ");
  const root = s("svg", { viewBox: `0 0 ${c.width} ${c.height}`, role: "img", "aria-label": chart.name });
  for (const y of ticks(lowY, highY, step)) {
    root.append(s("path", { class: "grid", d: `M${c.left},${py(y).toFixed(1)}H${c.width - c.right}` }),
      s("text", { x: c.left - 6, y: py(y) + 4, "text-anchor": "end" }, short(y)));
  }
  for (const x of (logs ? decades(lowX, highX) : ticks(lowX, highX, stepOf(lowX, highX, narrow ? 4 : 8)))) {
    root.append(s("path", { class: "grid", d: `M${px(x).toFixed(1)},${floor}v4` }),
      s("text", { x: px(x), y: floor + 17, "text-anchor": "middle" }, short(x)));
  }
  root.append(s("path", { class: "axis", d: `M${c.left},${c.top}V${floor}H${c.width - c.right}` }),
    s("text", { x: (c.left + c.width) / 2, y: c.height - 4, "text-anchor": "middle" }, "optimiser step"));
  if (chart.unit) {
    root.append(s("text", { x: 12, y: (c.top + floor) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(c.top + floor) / 2})` }, chart.unit));
  }
  lines.forEach((line, i) => {
    if (options.raw) root.append(s("polyline", { class: `raw ${looks[i].stroke}`, points: path(line, line.y) }));
    root.append(s("polyline", { class: `smooth ${looks[i].stroke}`, points: path(line, means[i]) }));
  });
  const cursor = s("path", { class: "cursor", d: "" });
  root.append(cursor);
  const legend = h("div", { class: "legend" });
  const say = (step) => {
    legend.replaceChildren(...legendOf(lines, looks, "run", (line) => {
      if (step === null) return "";
      const i = line.x.reduce((best, x, j) => (Math.abs(x - step) < Math.abs(line.x[best] - step) ? j : best), 0);
      return ` ${short(line.y[i])} (mean ${short(means[lines.indexOf(line)][i])}) at step ${line.x[i]}`;
    }));
  };
  const move = (event) => {
    const at = root.getBoundingClientRect();
    const share = (((event.clientX - at.left) / at.width) * c.width - c.left) / (c.width - c.left - c.right);
    const inside = Math.min(Math.max(share, 0), 1);
    const value = scale(lowX) + inside * (scale(highX) - scale(lowX));
    const step = logs ? 10 ** value : value;
    cursor.setAttribute("d", `M${px(step).toFixed(1)},${c.top}V${floor}`);
    say(step);
  };
  root.addEventListener("pointermove", move);
  root.addEventListener("pointerdown", move);
  root.addEventListener("pointerleave", () => { cursor.setAttribute("d", ""); say(null); });
  say(null);
  figure.replaceChildren(figure.querySelector("figcaption"), legend, root);
}

function startCharts() {
  const charts = carried("charts");
  if (!charts) return;
  for (const chart of charts) looksOf(chart.lines); // in the order of runs, whichever chart is drawn first
  const options = { log: false, raw: charts.every((chart) => chart.lines.length <= FEW), smooth: 0.08 };
  const seen = new Set();
  const draw = (figure) => drawChart(figure, charts[Number(figure.dataset.chart)], options);
  const again = () => seen.forEach(draw);
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) { watch.unobserve(target); seen.add(target); draw(target); }
    }
  }, { rootMargin: "800px" });
  const figures = document.querySelectorAll("figure[data-chart]");
  figures.forEach((figure) => watch.observe(figure));
  addEventListener("beforeprint", () => figures.forEach((figure) => { seen.add(figure); draw(figure); }));
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; again(); } });
  const tick = (key, text) => {
    const box = h("input", { type: "checkbox", id: `curve-${key}`, checked: options[key] });
    box.addEventListener("change", () => { options[key] = box.checked; again(); });
    return h("label", {}, box, ` ${text}`);
  };
  byId("curve-options").replaceChildren(
    choice("smoothing", [[0, "none"], [0.04, "4 % of the steps"], [0.08, "8 % of the steps"], [0.2, "20 % of the steps"]], options.smooth, (v) => { options.smooth = Number(v); again(); }),
    tick("raw", "raw values"), tick("log", "logarithmic steps"));
}
