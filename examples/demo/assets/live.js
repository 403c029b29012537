// Shows at once that the session has ended, updates lists of sessions, and says when the server or the store is away.
const { session } = document.currentScript.dataset;

// A page that sends a form waits so many milliseconds for the response before it shows that the session has ended. If
// the form ended the session, the response explains it better.
const FORM_TIMEOUT = 3000;

const NOTICES = {
  lost: "There is no connection to the server. This page is updated when it is back.",
  away: "The session store does not respond, so nothing can be saved. This page is updated when it is back.",
};

let isSubmitting = false;
addEventListener("submit", () => {
  isSubmitting = true;
});

const showEnd = ({ reason, text }) => {
  const ended = document.getElementById("ended");
  const title = ended.querySelector("h1");
  const link = ended.querySelector("a");
  document.getElementById("ended-reason").textContent = text;
  if (reason === "renewed") {
    // The browser has the cookie of the new session already: a reload is enough.
    title.textContent = "This page is out of date";
    link.textContent = "Reload the page";
    link.href = location.pathname;
  } else {
    link.href = `/sign-in?next=${encodeURIComponent(location.pathname)}`;
  }
  document.title = `${title.textContent} – Cloakroom demo`;
  document.getElementById("main").hidden = true;
  document.getElementById("offline").hidden = true;
  document.querySelector(".account").hidden = true;
  ended.hidden = false;
  title.focus();
};

const list = document.querySelector("[data-live=sessions]");

const idsIn = (part) => Array.from(part.querySelectorAll("[data-id]"), (item) => item.dataset.id).join();

// Finds an element's part of the list again after the list was replaced.
const selectorOf = (element) => {
  const part = element?.closest("[data-id], [data-user], .actions > [id]");
  if (!part || !list.contains(part)) return null;
  if (part.id) return `#${part.id}`;
  return part.dataset.id ? `[data-id="${part.dataset.id}"]` : `[data-user="${part.dataset.user}"] .user`;
};

const fetchList = async () => {
  const response = await fetch(`${location.pathname}?list`).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.querySelector("[data-live=sessions]");
  // An unchanged list is kept, so that nothing moves while it is being used.
  if (!fresh || idsIn(fresh) === idsIn(list)) return;
  const focused = selectorOf(document.activeElement);
  const open = selectorOf(list.querySelector("details[open]"));
  list.replaceChildren(...fresh.childNodes);
  if (open) list.querySelector(`${open} details`)?.setAttribute("open", "");
  if (focused) list.querySelector(`${focused} summary`)?.focus();
};

let isFetching = false;
let isOutdated = false;

// One fetch at a time, so that an older response cannot replace a newer one.
const refresh = async () => {
  isOutdated = true;
  if (!list || isFetching) return;
  isFetching = true;
  while (isOutdated) {
    isOutdated = false;
    await fetchList();
  }
  isFetching = false;
};

const receive = (message) => {
  if (message.type === "ended") {
    if (isSubmitting) setTimeout(showEnd, FORM_TIMEOUT, message);
    else showEnd(message);
    return;
  }
  if (message.type !== "sessions") {
    const notice = document.getElementById("offline");
    const text = NOTICES[message.type] ?? "";
    notice.hidden = text === "";
    if (notice.textContent !== text) notice.textContent = text;
  }
  if (message.type in NOTICES) return;
  document.documentElement.dataset.connected = "";
  // Also when the connection opens, or the store is back: earlier changes were missed.
  refresh();
};

if (window.SharedWorker) {
  const worker = new SharedWorker("/events.js", session);
  worker.port.onmessage = ({ data }) => receive(data);
} else {
  // The page has loaded the worker's script as well.
  listen(session, receive);
}
