// Hides the page when its session ends: the server closes the stream with the event "end", whose data is the reason.
const source = new EventSource('/live');
source.addEventListener('open', () => { document.documentElement.dataset.live = ''; });
source.addEventListener('end', (event) => {
  // Browsers would connect again by themselves.
  source.close();
  const main = document.getElementById('main');
  main.innerHTML = '<h1>You were signed out</h1><p id="ended-reason"></p><p><a class="button" href="/sign-in">Sign in</a></p>';
  document.getElementById('ended-reason').textContent = event.data;
});
// A page that is kept for the Back button would keep its connection, of which there are six for a host.
addEventListener('pagehide', () => source.close());
// The Back button shows a page as it was: load it again.
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
