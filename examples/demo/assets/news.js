// Listens to the server, for one ticket. It runs once for all tabs that show the ticket, as a shared worker: browsers
// keep six connections to a server at most, so one for each tab would soon leave none for pages. Where there are no
// shared workers, the page loads it, and listens by itself.
const PAUSE = 2000;

const listen = (ticket, tell) => {
  const open = () => {
    const source = new EventSource(`/live?ticket=${ticket}`);
    source.addEventListener("open", () => tell({ about: "open" }));
    source.addEventListener("sessions", () => tell({ about: "sessions" }));
    source.addEventListener("over", (event) => {
      source.close();
      tell({ about: "over", reason: event.lastEventId, text: event.data });
    });
    // A lost connection it opens again by itself. After an error, such as a 503, it would not.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(open, PAUSE);
    });
  };
  open();
};

if ("onconnect" in self) {
  // Who has gone stays in it, for nobody tells: what they are sent is lost, and the worker ends with its last tab.
  const tabs = new Set();
  let last = null;
  self.onconnect = ({ ports: [tab] }) => {
    tabs.add(tab);
    if (last) tab.postMessage(last);
  };
  listen(self.name, (news) => {
    // What a tab hears that comes later.
    if (news.about !== "sessions") last = news;
    for (const tab of tabs) tab.postMessage(news);
  });
}
