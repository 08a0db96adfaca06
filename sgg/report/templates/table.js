// Tables that sort by a click on their head: numbers largest first, text from a to z, then the other way.
function startTables() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.tabIndex = 0;
      const sort = () => sortBy(table, heads, column);
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
  }
}

function sortBy(table, heads, column) {
  const isNumber = heads[column].dataset.sort === "number";
  const before = heads[column].getAttribute("aria-sort");
  const up = before ? before === "descending" : !isNumber;
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = (row) => {
    const cell = row.cells[column];
    const text = "value" in cell.dataset ? cell.dataset.value : cell.textContent.trim();
    return isNumber ? (text === "" || text === "–" ? -Infinity : Number(text)) : text;
  };
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return (isNumber ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
  });
  body.append(...rows);
}
