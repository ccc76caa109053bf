// What the pages of a node share: how numbers are shown, and a poll that tells when it fails.
"use strict";

const PAUSE = 1000;
const PATIENCE = 5000; // a node whose hub is blocked does not answer

const byId = (id) => document.getElementById(id);
const root = document.body.dataset.root;
const node = root + document.body.dataset.node;

const short = (n) => {
  if (n < 10000) return Math.round(n).toLocaleString("en");
  const unit = n < 1e6 ? [1e3, "k"] : n < 1e9 ? [1e6, "M"] : [1e9, "G"];
  const scaled = n / unit[0];
  return scaled.toFixed(scaled < 100 ? 1 : 0) + unit[1];
};
const perSecond = (n) => (n > 0 && n < 9.95 ? n.toFixed(1) : short(n));
const bytes = (n) => {
  if (n < 2 ** 10) return `${n} B`;
  if (n < 2 ** 20) return (n / 2 ** 10).toFixed(n < 10 * 2 ** 10 ? 1 : 0) + " KiB";
  return n < 2 ** 30 ? (n / 2 ** 20).toFixed(0) + " MiB" : (n / 2 ** 30).toFixed(1) + " GiB";
};
const millis = (s) => (s < 1 ? (s * 1000).toFixed(s < 0.01 ? 1 : 0) + " ms" : s.toFixed(1) + " s");
const clockTime = (s) => new Date(s * 1000).toLocaleTimeString("en-GB");
const duration = (s) => {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => s >= size);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).map(([size, name], i) =>
    Math.floor(i ? (s % parts[first][0]) / size : s / size) + " " + name).join(" ");
};

const setText = (id, told) => { byId(id).textContent = told; };

// An id may be any text, and a peer may claim any id: halves of surrogate pairs stand for bytes that
// are no UTF-8, and encodeURIComponent() refuses all of them.
const encodeId = (id) => Array.from(id, (letter) => {
  const code = letter.codePointAt(0);
  if (code >= 0xdc80 && code <= 0xdcff) return `%${(code - 0xdc00).toString(16)}`;
  return encodeURIComponent(code >= 0xd800 && code <= 0xdfff ? "\ufffd" : letter);
}).join("");

const processUrl = (id) => `${node}/process?id=${encodeId(id)}`;

// What is shown of a process, a link to its page if it has one here.
function processLink(id, isHere = true, shown = id) {
  const made = document.createElement(isHere ? "a" : "span");
  made.textContent = shown;
  if (isHere) {
    made.href = processUrl(id);
    made.dataset.key = `process ${id}`;
  }
  return made;
}

// A row of a table; cells are pairs of a class and what is in them.
function tableRow(cells) {
  const line = document.createElement("tr");
  for (const [name, content] of cells) {
    const made = document.createElement("td");
    made.className = name;
    made.append(content);
    line.append(made);
  }
  return line;
}

// Replaces what is in *parent*, and leaves the keyboard where it was.
function refill(parent, children) {
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  parent.replaceChildren(...children);
  if (key === undefined) return;
  const again = [...parent.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (again) again.focus({ preventScroll: true });
}

class Refused extends Error {}
class Gone extends Error {} // what the page is about is not there any more

let answered = new Date(); // when the node last did; the page itself came from it, too

function showLive() {
  answered = new Date();
  document.body.classList.remove("stale");
  setText("live", "live");
}

// What is shown is old from here on: it is dimmed, and says since when.
function showStale(error) {
  document.body.classList.add("stale");
  const time = answered.toLocaleTimeString("en-GB");
  const what = error instanceof Refused ? error.message : "no answer";
  setText("live", error instanceof Gone ? `${error.message}; last seen ${time}` : `${what} since ${time}`);
}

async function fetchJSON(url) {
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (response.ok) return response.json();
  if (response.status === 404) throw new Gone((await response.text()).trim());
  throw new Refused(`answers ${response.status}`);
}

// Calls *refresh* once a second while the page is visible; what it throws makes the page stale.
// It returns false when its answer was not shown. The function that is returned does so at once.
function poll(refresh) {
  let timer = 0;
  const turn = async () => {
    clearTimeout(timer);
    try {
      if (await refresh() === false) return; // the answer to a later question is on its way
      showLive();
    } catch (error) {
      showStale(error);
    }
    if (!document.hidden) timer = setTimeout(turn, PAUSE);
  };
  document.addEventListener("visibilitychange", () => document.hidden || turn());
  turn();
  return turn;
}
