// How a run is drawn in every plot: a hue for each configuration, a dash for each seed of it.
const HUES = 8;
const DASHES = 4;
const hues = new Map();
const dashes = new Map();

function placeOf(places, key) {
  if (!places.has(key)) places.set(key, places.size);
  return places.get(key);
}

// The looks of lines that have a `group` and a `seed`: `stroke` and `text` are classes.
function looksOf(lines) {
  const sizes = new Map();
  for (const { group } of lines) sizes.set(group, (sizes.get(group) || 0) + 1);
  return lines.map(({ group, seed }) => {
    const k = placeOf(hues, group);
    const alone = sizes.get(group) === 1;
    const dash = ((alone ? 0 : placeOf(dashes, seed)) + Math.floor(k / HUES)) % DASHES;
    return { alone, stroke: `s${k % HUES} d${dash}`, text: `t${k % HUES} d${dash}` };
  });
}

// A legend by configuration; `name` is the key of what a line without other seeds is called, `said` stands behind it.
function legendOf(lines, looks, name, said) {
  return [...new Set(lines.map((line) => line.group))].map((group) => {
    const own = lines.map((line, i) => [line, looks[i]]).filter(([line]) => line.group === group);
    const entries = own.map(([line, look]) => h("span", { class: `key ${look.text}` }, look.alone ? line[name] : `seed ${line.seed}`,
      h("span", { class: "value plain" }, said(line))));
    return own.length === 1 ? entries[0] : h("span", { class: "keys" }, `${group}: `, entries);
  });
}
