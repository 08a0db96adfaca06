// Parallel coordinates: an axis for each override and metric, a line for each run.
function startParallel() {
  const data = carried("parallel-data");
  const figure = byId("parallel");
  if (!figure) return;
  if (!data) { figure.remove(); return; }
  const size = { width: 1000, height: 300, left: 130, right: 80, top: 44, bottom: 24 };
  const { axes, lines } = data;
  const place = (i) => size.left + (i / (axes.length - 1)) * (size.width - size.left - size.right);
  const floor = size.height - size.bottom;
  const root = s("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": "parallel coordinates" });
  const [words, beside] = [[], []];
  const heights = axes.map((axis, i) => {
    const values = lines.map((line) => line[axis.key]).filter((v) => v !== undefined);
    const x = place(i);
    const last = i === axes.length - 1;
    let height;
    if (axis.is_number) {
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const scale = axis.is_log ? Math.log : (v) => v;
      const span = scale(high) - scale(low) || 1;
      const share = (v) => (scale(v) - scale(low)) / span;
      height = (v) => floor - (axis.is_lower_better ? 1 - share(v) : share(v)) * (floor - size.top);
      const ends = axis.is_lower_better ? [low, high] : [high, low];
      // above and below the axis, where no line passes
      words.push(...ends.map((v, end) => s("text", { x, y: end ? floor + 15 : size.top - 6, "text-anchor": "middle" }, short(v))));
    } else {
      const names = [...new Set(values.map(String))];
      height = (v) => floor - ((names.indexOf(String(v)) + 0.5) / names.length) * (floor - size.top);
      beside.push(...names.map((name) => s("text", { x: x + (last ? 9 : -9), y: height(name) + 4, "text-anchor": last ? "start" : "end" },
        name.length > 18 ? `${name.slice(0, 17)}…` : name)));
    }
    root.append(s("path", { class: "axis", d: `M${x},${size.top}V${floor}` }));
    const mark = `${axis.is_log ? " (log)" : ""}${axis.is_lower_better ? " ↓" : ""}`;
    words.push(s("text", { x, y: 16, "text-anchor": "middle" }, `${axis.label}${mark}`));
    return height;
  });
  const looks = looksOf(lines);
  const said = h("p", { class: "small", role: "status" }, "");
  lines.forEach((line, n) => {
    const points = axes.map((axis, i) => (line[axis.key] === undefined ? null : `${place(i).toFixed(1)},${heights[i](line[axis.key]).toFixed(1)}`));
    const drawn = s("polyline", { class: `run ${looks[n].stroke}`, tabindex: 0, points: points.filter(Boolean).join(" "), "aria-label": line.run });
    const on = () => {
      said.textContent = `${line.run}: ${axes.map((axis) => `${axis.label} ${axis.is_number ? short(line[axis.key]) : line[axis.key]}`).join(", ")}`;
      root.querySelectorAll(".run.on").forEach((other) => other.classList.remove("on"));
      drawn.classList.add("on");
    };
    for (const event of ["pointerenter", "focus", "click"]) drawn.addEventListener(event, on);
    root.append(drawn);
  });
  root.append(...words, ...beside);
  const legend = h("div", { class: "legend" }, legendOf(lines, looks, "group", () => ""));
  figure.append(legend, h("div", { class: "scroll" }, root), said);
  for (const text of beside) {
    const at = text.getBBox();
    text.before(s("rect", { class: "behind", x: at.x - 3, y: at.y, width: at.width + 6, height: at.height }));
  }
}
