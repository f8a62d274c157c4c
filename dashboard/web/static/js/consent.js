// The participant has agreed: their page waits, and goes on to their protocol when their session begins.

const WAIT_MS = 2000;
const { next } = document.getElementById("waits").dataset;

async function look() {
  const answer = await fetch(next).catch(() => null);
  if (answer?.status === 404) return; // the address is no longer open
  const address = answer?.ok ? (await answer.json()).address : null;
  if (address) window.location.replace(address + window.location.search);
  else setTimeout(look, WAIT_MS);
}

look();
