// Updates the times on the page, and adds the local time.
const roughly = (seconds) => {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) return `${days} ${days === 1 ? "day" : "days"}`;
  return hours > 0 ? `${hours} h` : `${minutes} min`;
};

const exactly = (left) => {
  const days = Math.floor(left / 86400);
  const hours = Math.floor(left / 3600) % 24;
  const minutes = Math.floor(left / 60) % 60;
  const seconds = left % 60;
  if (days > 0) return `${roughly(left)} ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min ${seconds} s`;
  if (minutes > 0) return `${minutes} min ${seconds} s`;
  return `${seconds} s`;
};

const local = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});

const timestamp = (iso) => {
  const utc = iso.replace("T", " ").replace("Z", " UTC");
  const date = new Date(iso);
  return date.getTimezoneOffset() === 0 ? utc : `${utc}\n${local.format(date)}`;
};

const clocks = {
  timestamp: (left, iso) => timestamp(iso),
  countdown: (left) => (left > 0 ? `in ${exactly(left)}` : "now"),
  ahead: (left) => (left < 60 ? "in less than 1 min" : `in ${roughly(left)}`),
  ago: (left) => (-left < 60 ? "just now" : `${roughly(-left)} ago`),
};

const tick = () => {
  // Queried each time, since live.js replaces lists.
  for (const time of document.querySelectorAll("time[data-clock]")) {
    const left = Math.floor((Date.parse(time.dateTime) - Date.now()) / 1000);
    const text = clocks[time.dataset.clock](left, time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
};

tick();
setInterval(tick, 1000);
