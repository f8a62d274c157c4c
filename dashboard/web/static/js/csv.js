// Tables that a page saves as CSV, which people open in a spreadsheet.

const SIGNS = "=+-@\t\r\n'＝＋－＠"; // as SIGNS of edge_agent/core/csv_cells.py

/** Quote a cell; a text that a spreadsheet would take for a formula stands behind an apostrophe. */
function cellOf(value) {
  const text = typeof value === "string" && value && SIGNS.includes(value[0]) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The text of a CSV file; numbers among the cells stay as they are. */
export const csvText = (rows) => rows.map((row) => `${row.map(cellOf).join(",")}\n`).join("");
