// The live feed: one event stream for the page, paused while the page is hidden, with the agent's state shown.

const AGENT_STATES = {
  connecting: ["connecting", ""],
  online: ["agent running", "badge-good"],
  offline: ["agent offline", "badge-bad"],
  lost: ["dashboard not reachable", "badge-bad"],
};

function showState(name) {
  const [text, style] = AGENT_STATES[name];
  const badge = document.getElementById("agent-state");
  if (badge.textContent !== text) badge.textContent = text;
  badge.className = `badge badge-dot ${style}`;
  badge.dataset.state = name;
  document.getElementById("offline-notice").hidden = name !== "offline";
}

/** Call handlers[type](message) for each live message; onState(name) when the agent comes or goes. */
export function followFeed(handlers, onState = () => {}) {
  let source = null;

  const setState = (name) => {
    showState(name);
    onState(name);
  };

  const open = () => {
    source = new EventSource("/api/v1/live");
    for (const [type, handler] of Object.entries(handlers)) {
      source.addEventListener(type, (event) => handler(JSON.parse(event.data)));
    }
    source.addEventListener("agent", (event) => setState(JSON.parse(event.data).state === "online" ? "online" : "offline"));
    source.onerror = async () => {
      setState("lost");
      if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
      const answer = await fetch("/api/v1/session").catch(() => null);
      if (answer?.status === 401) window.location.reload(); // the login has ended
      else setTimeout(() => !document.hidden && open(), 3000);
    };
  };
  const close = () => {
    source?.close();
    source = null;
  };

  document.addEventListener("visibilitychange", () => {
    close();
    if (!document.hidden) open();
  });
  window.addEventListener("pagehide", close);
  open();
}
