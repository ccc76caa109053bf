// Keeps the page of the node up to date: asks for its state once a second and shows what changed.
"use strict";

const PAUSE = 1000;
const PATIENCE = 5000; // a node whose hub is blocked does not answer
const HISTORY = 60;
const DEEP = 1000; // queued events from which a mailbox is shown as deep

const byId = (id) => document.getElementById(id);
const url = document.body.dataset.root + document.body.dataset.node + "/state";
const history = [];
let before = null;
let answered = new Date(); // when the node last did; the page itself came from it, too
let sorting = { key: "queued", down: true };
let timer = 0;

const short = (n) => {
  if (n < 10000) return Math.round(n).toLocaleString("en");
  const unit = n < 1e6 ? [1e3, "k"] : n < 1e9 ? [1e6, "M"] : [1e9, "G"];
  const scaled = n / unit[0];
  return scaled.toFixed(scaled < 100 ? 1 : 0) + unit[1];
};
const bytes = (n) => (n < 2 ** 30 ? (n / 2 ** 20).toFixed(0) + " MiB" : (n / 2 ** 30).toFixed(1) + " GiB");
const millis = (s) => (s < 1 ? (s * 1000).toFixed(s < 0.01 ? 1 : 0) + " ms" : s.toFixed(1) + " s");
const duration = (s) => {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => s >= size);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).map(([size, name], i) =>
    Math.floor(i ? (s % parts[first][0]) / size : s / size) + " " + name).join(" ");
};

function rates(now) {
  const seconds = before ? now.uptime_secs - before.uptime_secs : 0;
  const served = new Map(before ? before.processes.map((one) => [one.id, one.served]) : []);
  const rate = (a, b) => (seconds > 0 && b !== undefined ? Math.max((a - b) / seconds, 0) : 0);
  for (const one of now.processes) one.rate = rate(one.served, served.get(one.id));
  return (name) => (before ? rate(now.totals[name], before.totals[name]) : 0);
}

function showTotals(now) {
  const totals = now.totals;
  const rate = rates(now);
  const text = (id, told) => { byId(id).textContent = told; };
  text("address", now.address);
  text("about", `up ${duration(now.uptime_secs)} · OS process ${now.os_pid} · Python ${now.python}`);
  text("events", short(rate("served")));
  text("processes", short(totals.processes));
  text("busy", `${short(totals.busy)} busy`);
  text("queued", short(totals.queued));
  text("in", short(rate("messages_in")));
  text("in-total", `${short(totals.messages_in)} in all`);
  text("out", short(rate("messages_out")));
  text("out-total", `${short(totals.messages_out)} in all`);
  text("http", short(rate("http_requests")));
  text("http-total", `${short(totals.http_requests)} in all`);
  text("dropped", short(totals.dropped));
  text("connections", short(totals.connections_in + totals.connections_out));
  const most = short(totals.max_connections_in);
  text("directions", `${short(totals.connections_in)} of ${most} in, ${short(totals.connections_out)} out`);
  text("lag", millis(totals.hub_lag_secs));
  text("longest", `${millis(totals.hub_lag_longest_secs)} at most`);
  text("memory", bytes(totals.resident_bytes));
  text("timers", short(totals.timers));
  const mark = (id, name, on) => byId(id).classList.toggle(name, on);
  mark("longest", "warn", totals.hub_lag_longest_secs > 0.1);
  mark("longest", "alarm", totals.hub_lag_longest_secs > 1);
  mark("dropped", "warn", totals.dropped > 0);
  if (before) history.push(rate("served"));
  if (history.length > HISTORY) history.shift();
  drawSpark();
}

function drawSpark() {
  const top = Math.max(...history, 1);
  const points = history.map((n, i) => {
    const x = 120 - (history.length - 1 - i) * (120 / (HISTORY - 1));
    return `${x.toFixed(1)},${(34 - (n / top) * 30).toFixed(1)}`;
  });
  const line = points.length > 1 ? "M" + points.join("L") : "";
  const start = points.length > 1 ? points[0].split(",")[0] : 0;
  byId("spark").querySelector(".line").setAttribute("d", line);
  byId("spark").querySelector(".area").setAttribute("d", line && `${line}L120,36L${start},36Z`);
}

function meter(queued, most) {
  const box = document.createElement("div");
  box.className = queued >= DEEP ? "meter deep" : "meter";
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [name, width] of [["track", 100], ["fill", (100 * queued) / most]]) {
    const bar = document.createElementNS(space, "rect");
    bar.setAttribute("class", name);
    bar.setAttribute("width", `${width}%`);
    bar.setAttribute("height", "100%");
    bar.setAttribute("rx", "3");
    svg.append(bar);
  }
  const number = document.createElement("span");
  number.textContent = short(queued);
  box.append(svg, number);
  return box;
}

function row(one, most) {
  const line = document.createElement("tr");
  const cell = (name, content) => {
    const made = document.createElement("td");
    made.className = name;
    made.append(content);
    line.append(made);
  };
  line.classList.toggle("builtin", one.builtin);
  line.dataset.id = one.id;
  const id = document.createElement(one.help ? "a" : "span");
  id.textContent = one.id;
  if (one.help) {
    id.href = document.body.dataset.root + "help/" + encodeURIComponent(one.id);
    id.title = "What its endpoints are for";
  }
  cell("id", id);
  cell("class", one.class);
  cell("number depth", meter(one.queued, most));
  cell("number", short(one.rate));
  cell("number served", short(one.served));
  return line;
}

function showProcesses(now) {
  const wanted = now.processes.filter((one) => !one.builtin || byId("builtin").checked);
  const { key, down } = sorting;
  const order = (a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) * (down ? -1 : 1);
  // Of two that are equal, the busier one comes first, then the alphabet decides.
  wanted.sort((a, b) => order(a, b) || b.rate - a.rate || a.id.localeCompare(b.id, "en", { numeric: true }));
  const most = Math.max(...wanted.map((one) => one.queued), 1);
  byId("table").tBodies[0].replaceChildren(...wanted.map((one) => row(one, most)));
  for (const button of document.querySelectorAll("th button")) {
    button.setAttribute("aria-pressed", button.dataset.key === key);
    button.dataset.order = button.dataset.key === key ? (down ? "down" : "up") : "";
  }
  const hidden = now.matching - now.processes.length;
  const builtin = now.processes.length - wanted.length;
  const notes = [];
  if (hidden > 0) notes.push(`${short(hidden)} more with fewer queued events`);
  if (builtin > 0) notes.push(`${builtin} built-in`);
  byId("more").textContent = notes.length ? `Not shown: ${notes.join(", ")}.` : "";
}

function treeRow(one) {
  const line = document.createElement("tr");
  const due = one.due_in_secs === undefined || one.due_in_secs === null ? "" : ` in ${millis(one.due_in_secs)}`;
  const limit = one.strategy ? `${one.strategy}, ${one.limit}` : "";
  const ended = one.ended_at ? `, ${new Date(one.ended_at * 1000).toLocaleTimeString("en-GB")}` : "";
  const cells = [
    ["id", "\u2003".repeat(one.depth) + one.id],
    ["class", one.state + due],
    ["number", short(one.restarts)],
    ["class", limit],
    ["class", one.last_reason ? one.last_reason + ended : ""],
  ];
  for (const [name, text] of cells) {
    const made = document.createElement("td");
    made.className = name;
    made.textContent = text;
    line.append(made);
  }
  return line;
}

function showSupervision(now) {
  const { rows, has_more: more } = now.supervision;
  byId("supervision").hidden = rows.length === 0;
  byId("tree").tBodies[0].replaceChildren(...rows.map(treeRow));
  byId("more-children").textContent = more ? `The first ${rows.length} are shown.` : "";
}

class Refused extends Error {}

function showLive() {
  answered = new Date();
  document.body.classList.remove("stale");
  byId("live").textContent = "live";
}

// What is shown is old from here on: it is dimmed, and says since when.
function showStale(error) {
  document.body.classList.add("stale");
  const what = error instanceof Refused ? error.message : "no answer";
  byId("live").textContent = `${what} since ${answered.toLocaleTimeString("en-GB")}`;
}

async function refresh() {
  clearTimeout(timer);
  const filter = byId("filter").value;
  try {
    const response = await fetch(`${url}?filter=${encodeURIComponent(filter)}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) throw new Refused(`answers ${response.status}`);
    const now = await response.json();
    if (filter !== byId("filter").value) return; // the answer to a later question is on its way
    showTotals(now);
    showProcesses(now);
    showSupervision(now);
    before = now;
    showLive();
  } catch (error) {
    showStale(error);
  }
  if (!document.hidden) timer = setTimeout(refresh, PAUSE);
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const key = button.dataset.key;
    const words = key === "id" || key === "class";
    sorting = { key, down: sorting.key === key ? !sorting.down : !words };
    if (before) showProcesses(before);
  });
}
byId("builtin").addEventListener("change", () => before && showProcesses(before));
byId("filter").addEventListener("input", refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
