// A report: the browser's own print makes the sheet, and the PDF.

document.getElementById("print").addEventListener("click", () => window.print());
