// Draws which processes and nodes talk to each other: on a circle, with an arrow for each pair.
"use strict";

const WATCH = "10secs"; // renewed by each look
const SVG = "http://www.w3.org/2000/svg";
const LINE = 17; // height of a label
const LETTER = 7.3; // width of a letter of a label

const NAMES = { clients: "HTTP clients", program: "no process" };
const peerName = (peer) => NAMES[peer.kind] ?? peer.name;
const peerKey = (peer) => `${peer.kind} ${peer.name}`;
const clipped = (text, most) => (text.length > most ? text.slice(0, Math.max(most - 1, 1)) + "…" : text);

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function title(text) {
  return svg("title", {}, text);
}

// The pairs that fit, the busiest first, and the peers that they are about.
function fitting(pairs, most) {
  const peers = new Map();
  const shown = [];
  for (const pair of pairs) {
    const fresh = [pair.from, pair.to].filter((one) => !peers.has(peerKey(one)));
    const isSelf = fresh.length === 2 && peerKey(fresh[0]) === peerKey(fresh[1]);
    if (peers.size + (isSelf ? 1 : fresh.length) > most) continue;
    for (const one of fresh) peers.set(peerKey(one), { peer: one, weight: 0 });
    shown.push(pair);
  }
  return { shown, peers };
}

// In the order of names, so that a peer stays where it is while rates change.
function place(peers, width, radius, height) {
  const sorted = [...peers.values()].sort((a, b) => peerKey(a.peer).localeCompare(peerKey(b.peer), "en", { numeric: true }));
  sorted.forEach((one, i) => {
    const angle = (2 * Math.PI * (i + 0.5)) / sorted.length - Math.PI / 2;
    one.x = width / 2 + radius * Math.cos(angle);
    one.y = height / 2 + radius * Math.sin(angle);
    one.isRight = Math.cos(angle) >= 0;
  });
  return sorted;
}

function arrow(pair, from, to, busiest, centre) {
  const group = svg("g", { class: pair.per_sec > 0 ? "edge" : "edge quiet" });
  const thick = 1 + 3 * (busiest > 0 ? Math.sqrt(pair.per_sec / busiest) : 0);
  let shape;
  if (from === to) {
    const side = from.isRight ? -1 : 1;
    shape = `M${from.x},${from.y - 4} c${side * 34},-26 ${side * 34},34 ${side * 7},8`;
  } else {
    // Towards the middle, and to one side, so that the way back is another curve.
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = Math.hypot(dx, dy) || 1;
    const bend = Math.min(length * 0.12, 18);
    const midX = (from.x + to.x) / 2 * 0.72 + centre.x * 0.28 - (dy / length) * bend;
    const midY = (from.y + to.y) / 2 * 0.72 + centre.y * 0.28 + (dx / length) * bend;
    // It ends in front of the point.
    const [backX, backY] = [to.x - midX, to.y - midY];
    const back = Math.hypot(backX, backY) || 1;
    shape = `M${from.x},${from.y} Q${midX},${midY} ${to.x - (backX / back) * 9},${to.y - (backY / back) * 9}`;
  }
  const told = `${peerName(pair.from)} to ${peerName(pair.to)}: ${perSecond(pair.per_sec)} a second, ${short(pair.total)} in all`;
  group.dataset.from = peerKey(pair.from);
  group.dataset.to = peerKey(pair.to);
  group.append(svg("path", { d: shape, "stroke-width": thick.toFixed(1), "marker-end": "url(#arrowhead)" }, title(told)));
  return group;
}

function point(one, most) {
  const key = peerKey(one.peer);
  const isProcess = one.peer.kind === "process";
  const holder = isProcess ? svg("a", { href: processUrl(one.peer.name) }) : svg("g", {});
  holder.classList.add("peer", one.peer.kind);
  holder.dataset.key = `peer ${key}`;
  holder.dataset.peer = key;
  holder.append(
    title(peerName(one.peer)),
    svg("circle", { cx: one.x, cy: one.y, r: 6 }),
    svg("text", {
      x: one.x + (one.isRight ? 11 : -11), y: one.y + 4, "text-anchor": one.isRight ? "start" : "end",
    }, clipped(peerName(one.peer), most)),
  );
  // What it talks to is brought out while it is pointed at, or has the keyboard.
  for (const [event, isOn] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]]) {
    holder.addEventListener(event, () => bringOut(isOn ? key : null));
  }
  return holder;
}

let broughtOut = null;

function bringOut(key) {
  broughtOut = key;
  byId("graph").classList.toggle("some", key !== null);
  for (const edge of byId("graph").querySelectorAll(".edge")) {
    edge.classList.toggle("out", key === edge.dataset.from || key === edge.dataset.to);
  }
}

function drawGraph(pairs) {
  const graph = byId("graph");
  const width = Math.max(graph.parentElement.clientWidth, 240);
  const radius = Math.min(width * 0.24, 190);
  // So many labels have a line each on either side of the circle.
  const most = Math.max(Math.floor((Math.PI * radius) / LINE / 1.4), 6);
  const height = 2 * radius + 3 * LINE;
  const { shown, peers } = fitting(pairs, most);
  const placed = place(peers, width, radius, height);
  const busiest = Math.max(...shown.map((one) => one.per_sec), 0);
  const centre = { x: width / 2, y: height / 2 };
  const letters = Math.floor((width / 2 - radius - 16) / LETTER);
  graph.setAttribute("viewBox", `0 0 ${width} ${height}`);
  graph.setAttribute("width", width);
  graph.setAttribute("height", height);
  const head = svg("marker", {
    id: "arrowhead", viewBox: "0 0 8 8", refX: 5, refY: 4, markerWidth: 7, markerHeight: 7,
    markerUnits: "userSpaceOnUse", orient: "auto",
  }, svg("path", { d: "M0,0L8,4L0,8z" }));
  const edges = shown.map((pair) => arrow(pair, peers.get(peerKey(pair.from)), peers.get(peerKey(pair.to)), busiest, centre));
  refill(graph, [svg("defs", {}, head), ...edges, ...placed.map((one) => point(one, letters))]);
  bringOut(peers.has(broughtOut) ? broughtOut : null);
  return shown.length;
}

function pairRow(pair) {
  const cell = (peer) => (peer.kind === "process" ? processLink(peer.name) : peerName(peer));
  const line = tableRow([
    ["id", cell(pair.from)],
    ["id", cell(pair.to)],
    ["number", perSecond(pair.per_sec)],
    ["number wide", short(pair.total)],
  ]);
  for (const link of line.querySelectorAll("a")) link.dataset.key += ` ${peerKey(pair.from)} ${peerKey(pair.to)}`;
  return line;
}

// Asks for the pairs, and so has them counted, while they are shown.
async function showTraffic() {
  if (!byId("traffic").open) return;
  const builtin = byId("builtin").checked ? "&builtin=1" : "";
  const { pairs, not_listed: rest, others } = await fetchJSON(`${node}/traffic?watch=${WATCH}${builtin}`);
  byId("no-traffic").hidden = pairs.length > 0;
  byId("graph").toggleAttribute("hidden", pairs.length === 0);
  const drawn = pairs.length ? drawGraph(pairs) : 0;
  refill(byId("pairs").tBodies[0], pairs.map(pairRow));
  const notes = [];
  if (drawn < pairs.length) notes.push(`${pairs.length - drawn} of these pairs are in the table only`);
  if (rest > 0) notes.push(`${short(rest)} quieter pairs are not listed`);
  if (others > 0) notes.push(`${short(others)} events of further pairs are not told apart`);
  setText("more-pairs", notes.length ? `${notes.join("; ")}.` : "");
}
