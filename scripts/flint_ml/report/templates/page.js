// Sorts a table by the column whose heading is clicked: by number where all cells begin with one, else by text.
"use strict";
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (!body || body.rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const sort = () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      const text = (row) => row.cells[column].textContent.trim();
      const number = (row) => parseFloat(text(row).replace(/\u2212/g, "-").replace(/[,<>=\s]|^[A-Z] = /g, ""));
      const rows = [...body.rows];
      const numeric = rows.every((row) => text(row) === "\u2013" || !Number.isNaN(number(row)));
      const value = (row) => (text(row) === "\u2013" ? -Infinity : number(row));
      rows.sort((a, b) => (numeric ? value(a) - value(b) || 0 : text(a).localeCompare(text(b))));
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...(down ? rows.reverse() : rows));
    };
    heading.tabIndex = 0;
    heading.title = "sort by this column";
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  });
}
