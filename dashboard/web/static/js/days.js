// The days of one participant: midnight is that of the reader, unless the address names a zone.

const address = new URL(window.location.href);
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !address.searchParams.has("zone")) {
  address.searchParams.set("zone", zone);
  window.location.replace(address);
}
