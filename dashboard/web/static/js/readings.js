// The import page: offer the reader's own time zone for times that name none.

const zone = document.querySelector("input[data-zone]");
if (zone && !zone.value && !new URLSearchParams(window.location.search).has("dates")) {
  zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
