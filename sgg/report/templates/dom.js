// Elements from data: text becomes text nodes and attributes only, never HTML.
const SVG = "http://www.w3.org/2000/svg";

function add(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}
const h = (tag, attributes, ...children) => add(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => add(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);

// What the page carries under an id; null where it has none.
function carried(id) {
  const element = byId(id);
  return element ? JSON.parse(element.textContent) : null;
}

// A labelled list of choices: [value, text] each.
function choice(label, options, value, changed) {
  const select = h("select", { onchange: () => changed(select.value) },
    options.map(([v, text]) => h("option", { value: v, selected: String(v) === String(value) }, text)));
  return h("label", {}, label, select);
}
const short = (value) => (value === null || value === undefined ? "–" : Number(value.toPrecision(4)).toString());
