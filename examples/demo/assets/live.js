// Tells at once when the session has ended, and keeps lists of devices fresh. The page is whole without it.
const news = new EventSource("/live");

news.addEventListener("over", (event) => {
  news.close();
  const over = document.getElementById("over");
  document.getElementById("over-reason").textContent = event.data;
  // A ticket that was renewed in another tab is no reason to sign in again: loading the page is enough.
  if (event.lastEventId === "renewed") {
    over.querySelector("h1").textContent = "You have a new ticket";
    over.querySelector(".eyebrow").textContent = "One moment";
    over.querySelector("a").textContent = "Go on with it";
  }
  document.getElementById("main").hidden = true;
  document.querySelector(".account").hidden = true;
  over.hidden = false;
  over.querySelector("h1").focus();
});

const list = document.querySelector("[data-live=sessions]");
if (list) {
  news.addEventListener("sessions", async () => {
    const answer = await fetch(`${location.pathname}?list`);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const there = fresh.querySelector("[data-live=sessions]");
    if (there) list.replaceChildren(...there.childNodes);
  });
}
