// Receives the server's events for one session. It runs once for all tabs of the session, as a shared worker: browsers
// open at most six connections to a server over HTTP/1.1, so one per tab would soon leave none for pages. Where there
// are no shared workers, the page loads this script and listens by itself.
const RETRY_DELAY = 2000;

const listen = (session, send) => {
  const open = () => {
    const source = new EventSource(`/live?session=${session}`);
    source.addEventListener("open", () => send({ type: "open" }));
    source.addEventListener("store", (event) => send({ type: event.data }));
    source.addEventListener("sessions", () => send({ type: "sessions" }));
    source.addEventListener("ended", (event) => {
      source.close();
      send({ type: "ended", reason: event.lastEventId, text: event.data });
    });
    source.addEventListener("error", () => {
      send({ type: "lost" });
      // An event source reconnects after a lost connection, but not after an error response such as a 503.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, RETRY_DELAY);
    });
  };
  open();
};

if ("onconnect" in self) {
  // Closed tabs are not removed, since a port does not report it. Messages to them are dropped, and the worker ends
  // with its last tab.
  const tabs = new Set();
  let last = null;
  self.onconnect = ({ ports: [tab] }) => {
    tabs.add(tab);
    if (last) tab.postMessage(last);
  };
  listen(self.name, (message) => {
    // For tabs that connect later.
    if (message.type !== "sessions") last = message;
    for (const tab of tabs) tab.postMessage(message);
  });
}
