// One image's completions through training: run, image and step are chosen.
function startTraining() {
  const runs = carried("training-runs");
  if (!runs) return;
  const state = { run: runs.best, image: 0, step: 0 };
  const image = () => runs.runs[state.run].images[state.image];
  const last = () => image().steps.length - 1;
  function draw() {
    const { images } = runs.runs[state.run];
    const at = image().steps[state.step];
    const set = (key) => (value) => {
      const before = image().steps[state.step].step;
      state[key] = Number(value);
      if (key === "run") state.image = Math.min(state.image, runs.runs[state.run].images.length - 1);
      if (key !== "step") state.step = Math.max(0, image().steps.findIndex((x) => x.step >= before));
      draw();
    };
    const slider = h("input", { type: "range", id: "step", min: 0, max: last(), value: state.step });
    slider.addEventListener("change", () => { set("step")(slider.value); byId("step").focus(); });
    byId("training-choice").replaceChildren(
      choice("run", runs.runs.map((run, i) => [i, run.label + (i === runs.best && runs.runs.length > 1 ? " (best)" : "")]), state.run, set("run")),
      choice("image", images.map((x, i) => [i, `${x.id}${x.kind === "fixed" ? "" : " (in the batch)"}`]), state.image, set("image")),
      choice("step", image().steps.map((x, i) => [i, `${x.step}${i && image().steps[i - 1].step === x.step ? " (another completion)" : ""}`]), state.step, set("step")),
      h("label", {}, "through the steps", slider));
    const terms = at.reward ? Object.entries(at.reward).map(([name, value]) => `${name} ${short(value)}`).join(", ") : "";
    const facts = [`step ${at.step}`, `${at.found} of ${image().gold.relations.length} gold relations found`];
    if (at.total !== null) facts.push(`reward ${short(at.total)}`);
    byId("training-view").replaceChildren(h("article", { class: "card" },
      h("header", {}, h("b", {}, image().id), h("span", { class: "small" }, runs.runs[state.run].label), h("span", { class: "small" }, facts.join(" · ")), terms ? h("span", { class: "small" }, `terms, unweighted: ${terms}`) : null),
      views(image().picture, image().size, image().gold, [{ label: `step ${at.step}`, block: at.block }])));
  }
  draw();
}
