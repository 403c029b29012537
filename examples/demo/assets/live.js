// Tells at once when the session has ended, and keeps lists of devices fresh. The page is whole without it.
let news;

// The browser reconnects by itself, but not after an answer that is an error: the store may be away for a while.
const listen = () => {
  news = new EventSource("/live");
  news.addEventListener("over", over);
  news.addEventListener("sessions", refresh);
  news.addEventListener("error", () => {
    if (news.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
};

const over = (event) => {
  news.close();
  const notice = document.getElementById("over");
  document.getElementById("over-reason").textContent = event.data;
  // A ticket that was renewed in another tab is no reason to sign in again: loading the page is enough.
  if (event.lastEventId === "renewed") {
    notice.querySelector("h1").textContent = "You have a new ticket";
    notice.querySelector(".eyebrow").textContent = "One moment";
    notice.querySelector("a").textContent = "Go on with it";
  }
  document.getElementById("main").hidden = true;
  document.querySelector(".account").hidden = true;
  notice.hidden = false;
  notice.querySelector("h1").focus();
};

const refresh = async () => {
  const list = document.querySelector("[data-live=sessions]");
  if (!list) return;
  const answer = await fetch(`${location.pathname}?list`);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live=sessions]");
  if (fresh) list.replaceChildren(...fresh.childNodes);
};

listen();
