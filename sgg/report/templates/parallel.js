// Parallel coordinates: an axis for each override and metric, a line for each run.
function startParallel() {
  const data = carried("parallel-data");
  const figure = byId("parallel");
  if (!figure) return;
  if (!data) { figure.remove(); return; }
  const size = { width: 1000, height: 300, left: 130, right: 80, top: 34, bottom: 16 };
  const { axes, lines } = data;
  const place = (i) => size.left + (i / (axes.length - 1)) * (size.width - size.left - size.right);
  const floor = size.height - size.bottom;
  const root = s("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": "parallel coordinates" });
  const words = [];
  const heights = axes.map((axis, i) => {
    const values = lines.map((line) => line[axis.key]).filter((v) => v !== undefined);
    const labels = [];
    let height;
    if (axis.is_number) {
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const scale = axis.is_log ? Math.log : (v) => v;
      const span = scale(high) - scale(low) || 1;
      height = (v) => floor - ((scale(v) - scale(low)) / span) * (floor - size.top);
      labels.push([low, short(low)], [high, short(high)]);
    } else {
      const names = [...new Set(values.map(String))];
      height = (v) => floor - ((names.indexOf(String(v)) + 0.5) / names.length) * (floor - size.top);
      for (const name of names) labels.push([name, name.length > 18 ? `${name.slice(0, 17)}…` : name]);
    }
    const last = i === axes.length - 1;
    root.append(s("path", { class: "axis", d: `M${place(i)},${size.top}V${floor}` }));
    words.push(s("text", { x: place(i), y: 16, "text-anchor": "middle" }, axis.is_log ? `${axis.label} (log)` : axis.label),
      ...labels.map(([v, text]) => s("text", { x: place(i) + (last ? 6 : -6), y: height(v) + 4, "text-anchor": last ? "start" : "end" }, text)));
    return height;
  });
  const groups = [...new Set(lines.map((line) => line.group))];
  const said = h("p", { class: "small", role: "status" }, "");
  for (const line of lines) {
    const points = axes.map((axis, i) => (line[axis.key] === undefined ? null : `${place(i).toFixed(1)},${heights[i](line[axis.key]).toFixed(1)}`));
    const k = groups.indexOf(line.group);
    const drawn = s("polyline", { class: `run s${k % 8}${k >= 8 ? " s-dash" : ""}`, tabindex: 0, points: points.filter(Boolean).join(" "), "aria-label": line.run });
    const on = () => {
      said.textContent = `${line.run}: ${axes.map((axis) => `${axis.label} ${axis.is_number ? short(line[axis.key]) : line[axis.key]}`).join(", ")}`;
      root.querySelectorAll(".run.on").forEach((other) => other.classList.remove("on"));
      drawn.classList.add("on");
    };
    for (const event of ["pointerenter", "focus", "click"]) drawn.addEventListener(event, on);
    root.append(drawn);
  }
  root.append(...words);
  const legend = h("div", { class: "legend" }, groups.map((group, k) => h("span", { class: `t${k % 8}` }, group)));
  figure.append(legend, h("div", { class: "scroll" }, root), said);
}
