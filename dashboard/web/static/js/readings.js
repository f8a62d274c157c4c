// The form of a file: send the reader's own time zone along, for times that name none.

for (const zone of document.querySelectorAll("input[data-zone]")) {
  zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
