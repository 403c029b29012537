// Lets the deadlines tick. The page is whole without it.
const inWords = (left) => {
  const days = Math.floor(left / 86400);
  const hours = Math.floor(left / 3600) % 24;
  const minutes = Math.floor(left / 60) % 60;
  const seconds = left % 60;
  if (days > 0) return `${days} ${days === 1 ? "day" : "days"} ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min ${seconds} s`;
  if (minutes > 0) return `${minutes} min ${seconds} s`;
  return `${seconds} s`;
};

const tick = () => {
  // Looked for each time: a list that is kept fresh brings new ones.
  for (const countdown of document.querySelectorAll("time[data-countdown]")) {
    const left = Math.floor((Date.parse(countdown.dateTime) - Date.now()) / 1000);
    countdown.textContent = left > 0 ? `in ${inWords(left)}` : "now";
  }
};

tick();
setInterval(tick, 1000);
