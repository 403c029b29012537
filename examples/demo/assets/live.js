// Tells at once when the session has ended, and keeps lists of sessions fresh. The page is whole without it.
const { ticket } = document.currentScript.dataset;

// So long a page that sends a form waits for its answer before it tells that the session is over: it may well be the
// form that ended it, and then the answer tells it better.
const PATIENCE = 3000;

let leaves = false;
addEventListener("submit", () => {
  leaves = true;
});

const show = ({ reason, text }) => {
  const over = document.getElementById("over");
  const title = over.querySelector("h1");
  document.getElementById("over-reason").textContent = text;
  // There is another ticket in the browser already: to load the page again is enough.
  if (reason === "renewed") {
    title.textContent = "You have a new ticket";
    over.querySelector(".eyebrow").textContent = "One moment";
    const again = over.querySelector("a");
    again.textContent = "Load the page again";
    again.href = location.pathname;
  }
  document.title = `${title.textContent} – Cloakroom`;
  document.getElementById("main").hidden = true;
  document.querySelector(".account").hidden = true;
  over.hidden = false;
  title.focus();
};

const list = document.querySelector("[data-live=sessions]");

const idsIn = (part) => Array.from(part.querySelectorAll("[data-id]"), (line) => line.dataset.id).join();

const fetchList = async () => {
  const answer = await fetch(`${location.pathname}?list`).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live=sessions]");
  // A list that says the same stays, so that nothing moves under somebody's hands.
  if (!fresh || idsIn(fresh) === idsIn(list)) return;
  const focused = document.activeElement.closest("[data-id]")?.dataset.id;
  list.replaceChildren(...fresh.childNodes);
  if (focused) list.querySelector(`[data-id="${focused}"] button`)?.focus();
};

let fetching = false;
let changed = false;

// One fetch at a time, so that no older answer comes after a newer one.
const refresh = async () => {
  changed = true;
  if (!list || fetching) return;
  fetching = true;
  while (changed) {
    changed = false;
    await fetchList();
  }
  fetching = false;
};

const hear = (news) => {
  if (news.about === "over") {
    if (leaves) setTimeout(show, PATIENCE, news);
    else show(news);
    return;
  }
  document.documentElement.dataset.listens = "";
  // Also when a connection opens: before, nothing was heard.
  refresh();
};

if (window.SharedWorker) {
  const worker = new SharedWorker("/news.js", ticket);
  worker.port.onmessage = ({ data }) => hear(data);
} else {
  // The page has loaded the worker's script as well.
  listen(ticket, hear);
}
