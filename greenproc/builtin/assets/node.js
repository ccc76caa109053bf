// Keeps the page of the node up to date: asks for its state once a second and shows what changed.
"use strict";

const HISTORY = 60;
const DEEP = 1000; // queued events from which a mailbox is shown as deep

const history = [];
let before = null;
let sorting = { key: "queued", down: true };

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
  const text = setText;
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
  const line = tableRow([
    ["id", processLink(one.id)],
    ["class", one.class],
    ["number depth", meter(one.queued, most)],
    ["number", short(one.rate)],
    ["number served", short(one.served)],
  ]);
  line.classList.toggle("builtin", one.builtin);
  line.dataset.id = one.id;
  return line;
}

function showProcesses(now) {
  const wanted = now.processes.filter((one) => !one.builtin || byId("builtin").checked);
  const { key, down } = sorting;
  const order = (a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) * (down ? -1 : 1);
  // Of two that are equal, the busier one comes first, then the alphabet decides.
  wanted.sort((a, b) => order(a, b) || b.rate - a.rate || a.id.localeCompare(b.id, "en", { numeric: true }));
  const most = Math.max(...wanted.map((one) => one.queued), 1);
  refill(byId("table").tBodies[0], wanted.map((one) => row(one, most)));
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
  const due = one.due_in_secs === undefined || one.due_in_secs === null ? "" : ` in ${millis(one.due_in_secs)}`;
  const ended = one.ended_at ? `, ${clockTime(one.ended_at)}` : "";
  const id = document.createElement("span");
  id.append("\u2003".repeat(one.depth), processLink(one.id, one.state === "running"));
  return tableRow([
    ["id", id],
    ["soft", one.state + due],
    ["number", short(one.restarts)],
    ["soft wide", one.strategy ? `${one.strategy}, ${one.limit}` : ""],
    ["soft", one.last_reason ? one.last_reason + ended : ""],
  ]);
}

function showSupervision(now) {
  const { rows, has_more: more } = now.supervision;
  byId("supervision").hidden = rows.length === 0;
  byId("to-supervision").hidden = rows.length === 0;
  refill(byId("tree").tBodies[0], rows.map(treeRow));
  byId("more-children").textContent = more ? `The first ${rows.length} are shown.` : "";
}

function letterRow(one) {
  return tableRow([
    ["soft wide", clockTime(one.time)],
    ["id", `${one.kind} ${one.name}`],
    ["id wide", one.from],
    ["id", one.to],
    ["soft reason", one.reason],
    ["number wide", bytes(one.size)],
  ]);
}

function showDeadLetters(now) {
  const { total, letters } = now.dead_letters;
  byId("no-letters").hidden = letters.length > 0;
  byId("letters").hidden = letters.length === 0;
  refill(byId("letter-table").tBodies[0], letters.map(letterRow));
  const older = total - letters.length;
  setText("more-letters", older > 0 ? `${short(older)} before these.` : "");
}

async function refresh() {
  const filter = byId("filter").value;
  const now = await fetchJSON(`${node}/state?filter=${encodeURIComponent(filter)}`);
  if (filter !== byId("filter").value) return false;
  showTotals(now);
  showProcesses(now);
  showSupervision(now);
  showDeadLetters(now);
  before = now;
  await showTraffic();
  return true;
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
const refreshNow = poll(refresh);
byId("filter").addEventListener("input", refreshNow);
byId("traffic").addEventListener("toggle", refreshNow);
byId("to-traffic").addEventListener("click", () => { byId("traffic").open = true; });
