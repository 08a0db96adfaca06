// Curves of several runs over each other: raw and smoothed values, axes with units, values at the pointer.
const CHART = { width: 1000, height: 250, left: 74, right: 12, top: 10, bottom: 40 };

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

function drawChart(figure, chart, options, colours) {
  const narrow = figure.clientWidth < 600;
  const c = narrow ? { ...CHART, width: 420, height: 250 } : CHART;
  const lines = chart.lines.filter((line) => line.x.length);
  const xs = lines.flatMap((line) => line.x);
  const ys = lines.flatMap((line) => line.y);
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
  const drawn = lines.map((line) => {
    const window = Math.max(1, Math.round(line.y.length * options.smooth));
    const mean = smoothed(line.y, window);
    const k = colours.get(line.run);
    const look = `s${k % 8}${k >= 8 ? " s-dash" : ""}`;
    if (window > 1 && options.raw) root.append(s("polyline", { class: `raw ${look}`, points: path(line, line.y) }));
    root.append(s("polyline", { class: `smooth ${look}`, points: path(line, window > 1 ? mean : line.y) }));
    return { line, mean, k };
  });
  const cursor = s("path", { class: "cursor", d: "" });
  root.append(cursor);
  const legend = h("div", { class: "legend" });
  const say = (step) => {
    legend.replaceChildren(...drawn.map(({ line, mean, k }) => {
      let text = "";
      if (step !== null) {
        const i = line.x.reduce((best, x, j) => (Math.abs(x - step) < Math.abs(line.x[best] - step) ? j : best), 0);
        text = ` ${short(line.y[i])} (mean ${short(mean[i])}) at step ${line.x[i]}`;
      }
      return h("span", { class: `t${k % 8}` }, line.run, h("span", { class: "value plain" }, text));
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
  const colours = new Map();
  for (const chart of charts) for (const line of chart.lines) if (!colours.has(line.run)) colours.set(line.run, colours.size);
  const options = { log: false, raw: true, smooth: 0.08 };
  const seen = new Set();
  const draw = (figure) => drawChart(figure, charts[Number(figure.dataset.chart)], options, colours);
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
