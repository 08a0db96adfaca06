// A picture with a graph on it. Lines are solid for what is right, dashed for what is wrong.
const FEW_ARROWS = 6; // with more, an arrow's label shows when the arrow is pointed at

function picture(source, size, graph, name) {
  const [width, height] = size;
  const quiet = graph.a.length > FEW_ARROWS ? "quiet" : "";
  const root = s("g", { class: quiet });
  // labels last: no line crosses a name
  root.append(...graph.b.map(boxOf), ...graph.a.map(arrowOf),
    ...graph.b.map((box) => s("g", { class: "box-g", "data-i": box.i }, labelOf(box, graph.f))),
    ...graph.a.map((arrow) => s("g", { class: "arrow", "data-i": arrow.i }, labelOf(arrow, graph.f))));
  if (graph.n) root.append(labelOf({ l: graph.n, r: [2, 2, 2 + graph.n.length * graph.f * 0.55, 2 + graph.f * 1.3], c: "#888" }, graph.f));
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name }, root);
  const image = source ? h("img", { src: `data:image/jpeg;base64,${source}`, alt: "" }) : null;
  return { element: h("div", { class: "picture" }, image, svg), root };
}

function boxOf(box) {
  const [x1, y1, x2, y2] = box.p;
  const place = { x: x1, y: y1, width: Math.max(x2 - x1, 1), height: Math.max(y2 - y1, 1) };
  return s("g", { class: "box-g", "data-i": box.i },
    s("rect", { class: "casing", ...place }),
    s("rect", { class: "box", stroke: box.c, ...place }));
}

function arrowOf(arrow) {
  const points = arrow.p;
  const line = [];
  for (let i = 0; i < points.length; i += 2) line.push(`${points[i]},${points[i + 1]}`);
  const [x, y] = points.slice(-2);
  const [bx, by] = points.slice(-4);
  const angle = Math.atan2(y - by, x - bx);
  const wing = (turn) => `${(x - 11 * Math.cos(angle + turn)).toFixed(1)},${(y - 11 * Math.sin(angle + turn)).toFixed(1)}`;
  return s("g", { class: `arrow m-${arrow.m}`, "data-i": arrow.i, "data-s": arrow.s, "data-o": arrow.o },
    s("polyline", { class: "casing", points: line.join(" ") }),
    s("polyline", { class: "path", stroke: arrow.c, points: line.join(" ") }),
    s("polygon", { fill: arrow.c, stroke: "#fff", "stroke-width": 0.7, points: `${x},${y} ${wing(0.42)} ${wing(-0.42)}` }));
}

// A label far from what it names has a thin line to it.
function labelOf({ l: text, r: [x1, y1, x2, y2], c: colour, t: line }, font) {
  const points = line ? `${line[0]},${line[1]} ${line[2]},${line[3]}` : "";
  return s("g", { class: "label" },
    line ? [s("polyline", { class: "casing", points }), s("polyline", { class: "leader", stroke: colour, points })] : null,
    s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: 2, stroke: colour, "stroke-width": 0.8 }),
    s("text", { x: (x1 + x2) / 2, y: (y1 + y2) / 2, "font-size": font, "text-anchor": "middle", "dominant-baseline": "central",
      textLength: Math.max(x2 - x1 - font * 0.4, 1), lengthAdjust: "spacingAndGlyphs" }, text));
}

// Point at one relation of a graph and its two objects; -1 for none.
function pointAt(root, relation) {
  root.classList.toggle("dim", relation >= 0);
  for (const part of root.querySelectorAll(".on")) part.classList.remove("on");
  if (relation < 0) return;
  const light = (kind, index) => {
    for (const part of root.querySelectorAll(`.${kind}[data-i="${index}"]`)) part.classList.add("on");
  };
  const arrow = root.querySelector(`.arrow[data-i="${relation}"]`);
  if (!arrow) return;
  light("arrow", relation);
  light("box-g", arrow.dataset.s);
  light("box-g", arrow.dataset.o);
}

// Gold and predictions of one image beside each other; pointing at a relation shows it and its partner in each.
function views(picture64, size, gold, predictions) {
  const roots = [];
  const items = [];
  const reset = () => { roots.forEach((r) => pointAt(r, -1)); items.forEach((i) => i.classList.remove("on")); };
  const show = (item, goldIndex, own) => {
    reset();
    item.classList.add("on");
    roots.forEach((root, place) => {
      if (place === 0) pointAt(root, goldIndex);
      else if (own && own.place === place) pointAt(root, own.relation);
      else pointAt(root, goldIndex >= 0 ? predictions[place - 1].block.by[goldIndex] : -1);
    });
  };
  const relation = (kind, text, why, goldIndex, own) => {
    const mark = { hit: "✓", miss: "✗", plain: "·" }[kind];
    const spoken = { hit: "found", miss: goldIndex < 0 ? "wrong" : "not found", plain: "" }[kind];
    const item = h("li", { tabindex: 0, class: kind, "data-kind": kind },
      h("span", { class: "mark", "aria-label": spoken }, mark), text,
      why ? h("span", { class: "why" }, ` — ${why}`) : null);
    const on = () => show(item, goldIndex, own);
    for (const event of ["mouseenter", "focus", "click"]) item.addEventListener(event, on);
    for (const event of ["mouseleave", "blur"]) item.addEventListener(event, reset);
    items.push(item);
    return item;
  };
  const column = (title, graph, ...content) => {
    const drawn = picture(picture64, size, graph, title);
    roots.push(drawn.root);
    return h("div", { class: "view" }, h("h4", {}, title), drawn.element, content);
  };
  const list = (rows) => (rows.length ? h("ul", { class: "relations" }, rows) : h("p", { class: "small" }, "no relations"));
  const columns = [column("gold", gold.graph, list(gold.relations.map((text, i) => relation("plain", text, "", i, null))))];
  predictions.forEach(({ label, block }, p) => {
    const place = p + 1;
    const found = gold.relations.map((text, i) => (block.by[i] >= 0
      ? relation("hit", text, "", i, { place, relation: block.by[i] })
      : relation("miss", text, block.missed[i], i, { place, relation: -1 })));
    const extra = block.relations.map((text, i) => (block.of[i] >= 0 ? null
      : relation("miss", text, block.wrong[i], -1, { place, relation: i }))).filter(Boolean);
    columns.push(column(label, block.graph,
      gold.relations.length ? [h("h5", {}, `gold relations: ${block.by.filter((b) => b >= 0).length} of ${gold.relations.length} found`), list(found)] : null,
      extra.length ? [h("h5", {}, "predicted, and not right"), list(extra)] : null,
      block.problems.length ? h("p", { class: "miss" }, block.problems.join(", ")) : null,
      h("details", {}, h("summary", { class: "small" }, "text of the completion"), h("pre", {}, block.text || "(empty)"))));
  });
  return h("div", { class: "views" }, columns);
}
