// The gallery: filters, sorts, pages. An image's block is read only when the image is shown.
const AT_ONCE = 24;
const CHANGES = [["", "any"], ["fixed", "fixed"], ["broken", "broken"], ["both_right", "both right"], ["both_wrong", "both wrong"], ["malformed", "failed"]];
const ORDERS = [["split", "as in the split"], ["worst", "worst first"], ["best", "best first"], ["gain", "largest change first"]];

function startGallery() {
  const index = carried("gallery-index");
  if (!index) return;
  const start = { run: index.run, change: "", order: index.baselines[index.run] === null ? "worst" : "gain", name: "", missed: "", kind: "", query: "", page: 0, shown: index.shown };
  let state = { ...start };
  const unique = (pick) => [...new Set(index.images.flatMap(pick))].sort((a, b) => a.localeCompare(b));
  const names = unique((image) => image.classes);
  const predicates = unique((image) => image.predicates);
  const kinds = unique((image) => image.runs.flatMap((run) => run.kinds));
  const any = (values) => [["", "any"], ...values.map((v) => [v, v])];

  function matching() {
    const wanted = state.query.toLowerCase().split(/\s+/).filter(Boolean);
    const holds = (image) => {
      const texts = [image.id, ...image.classes, ...image.predicates].map((t) => t.toLowerCase());
      return wanted.every((word) => texts.some((t) => t.includes(word)));
    };
    const kept = [];
    index.images.forEach((image, place) => {
      const run = image.runs[state.run];
      if (state.change && run.change !== state.change) return;
      if (state.name && !image.classes.includes(state.name)) return;
      if (state.missed && !run.missed.includes(state.missed)) return;
      if (state.kind && !run.kinds.includes(state.kind)) return;
      if (!holds(image)) return;
      kept.push(place);
    });
    const base = index.baselines[state.run];
    const share = (place, run) => {
      const image = index.images[place];
      return image.gold ? image.runs[run].found / image.gold : null;
    };
    const worth = {
      worst: (place) => share(place, state.run),
      best: (place) => (share(place, state.run) === null ? null : -share(place, state.run)),
      gain: (place) => (base === null || share(place, base) === null ? null : -Math.abs(share(place, state.run) - share(place, base))),
    }[state.order];
    if (worth) {
      const rank = (place) => { const v = worth(place); return v === null ? Infinity : v; };
      kept.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(a) < rank(b) ? -1 : 1));
    }
    return kept;
  }

  function card(place) {
    const image = index.images[place];
    const block = carried(`image-${place}`);
    const shown = index.runs.map((label, i) => ({ label, block: block.runs[i], i })).filter(({ i }) => state.shown.includes(i));
    const change = image.runs[state.run].change;
    return h("article", { class: "card", "data-image": place },
      h("header", {}, h("b", {}, image.id),
        h("span", { class: "small" }, `${image.gold} gold relations, found: `,
          index.runs.map((label, i) => (state.shown.includes(i) ? `${label} ${image.runs[i].found}` : null)).filter(Boolean).join(", ")),
        change ? h("span", { class: "small" }, `${index.runs[state.run]}: ${change.replace("_", " ")}`) : null),
      views(block.picture, block.size, block.gold, shown));
  }

  function filters() {
    const set = (key) => (value) => { state = { ...state, [key]: key === "run" ? Number(value) : value, page: 0 }; draw(); };
    const search = h("input", { type: "search", value: state.query, placeholder: "id, class, predicate" });
    search.addEventListener("input", () => { state = { ...state, query: search.value, page: 0 }; list(); });
    const toggles = index.runs.map((label, i) => {
      const box = h("input", { type: "checkbox", checked: state.shown.includes(i) });
      box.addEventListener("change", () => {
        state.shown = index.runs.map((_, j) => j).filter((j) => (j === i ? box.checked : state.shown.includes(j)));
        list();
      });
      return h("label", {}, box, ` ${label}`);
    });
    const compared = index.baselines[state.run] !== null;
    byId("filters").replaceChildren(...[
      h("label", {}, "search", search),
      index.runs.length > 1 ? choice("filter and sort by run", index.runs.map((label, i) => [i, label]), state.run, set("run")) : null,
      compared ? choice("changed to " + index.runs[index.baselines[state.run]], CHANGES, state.change, set("change")) : null,
      choice("order", compared ? ORDERS : ORDERS.filter(([v]) => v !== "gain"), compared || state.order !== "gain" ? state.order : "worst", set("order")),
      choice("with class", any(names), state.name, set("name")),
      choice("misses predicate", any(predicates), state.missed, set("missed")),
      kinds.length ? choice("problem", any(kinds), state.kind, set("kind")) : null,
      h("button", { type: "button", id: "clear", onclick: () => { state = { ...start }; draw(); } }, "clear"),
      index.runs.length > 1 ? h("span", { class: "filters" }, "show:", toggles) : null,
    ].filter(Boolean));
  }

  function list() {
    const kept = matching();
    const pages = Math.max(1, Math.ceil(kept.length / AT_ONCE));
    state.page = Math.min(state.page, pages - 1);
    const from = state.page * AT_ONCE;
    const some = kept.slice(from, from + AT_ONCE);
    byId("found").textContent = kept.length
      ? `${kept.length} of ${index.images.length} images; ${from + 1} to ${from + some.length} are shown`
      : `No image of ${index.images.length} fits these filters`;
    byId("cards").replaceChildren(...some.map(card));
    const turn = (by) => () => { state.page += by; list(); byId("gallery").scrollIntoView(); };
    byId("pages").replaceChildren(
      h("button", { type: "button", disabled: state.page === 0, onclick: turn(-1) }, "previous"),
      h("span", { class: "small" }, `page ${state.page + 1} of ${pages}`),
      h("button", { type: "button", id: "next", disabled: state.page >= pages - 1, onclick: turn(1) }, "next"));
  }

  function draw() { filters(); list(); }

  for (const link of document.querySelectorAll("a[data-filter]")) {
    link.addEventListener("click", () => {
      const asked = JSON.parse(link.dataset.filter);
      const base = index.baselines[asked.run];
      const both = [asked.run, ...(base === null ? [] : [base])];
      state = { ...start, ...asked, shown: [...new Set([...start.shown, ...both])].sort((a, b) => a - b) };
      draw();
    });
  }
  filters();
  // the first page of pictures waits until the section comes near
  const watch = new IntersectionObserver((seen) => { if (seen.some((e) => e.isIntersecting)) { watch.disconnect(); list(); } }, { rootMargin: "600px" });
  watch.observe(byId("gallery"));
  addEventListener("beforeprint", () => { watch.disconnect(); list(); });
}
