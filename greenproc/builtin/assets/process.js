// Keeps the page of one process up to date: asks for it once a second, and has its events recorded.
"use strict";

const WATCH = "10secs"; // renewed by each look
const STATES = {
  running: "answers this page", waiting: "waits in a handler", starting: "in initialize()",
  ready: "has its turn to come", idle: "waits for an event", ending: "ends",
};

// As it came, since URLSearchParams replaces what is no UTF-8.
const wanted = location.search.slice(1).split("&").find((one) => one.startsWith("id="));
let before = null;

function showNumbers(now) {
  const { mailbox, memory } = now;
  const seconds = before ? now.time - before.time : 0;
  const rate = seconds > 0 ? Math.max((now.served - before.served) / seconds, 0) : 0;
  setText("name", now.id);
  const about = [now.class];
  if (now.supervises) about.push("a supervisor");
  if (now.builtin) about.push("built-in");
  if (now.in_state !== null) about.push(`in state ${now.in_state}`);
  const place = byId("about");
  refill(place, now.supervisor === null ? [about.join(" · ")]
    : [`${about.join(" · ")} · supervised by `, processLink(now.supervisor)]);
  setText("state", now.state);
  setText("doing", STATES[now.doing]);
  setText("queued", short(mailbox.queued));
  const { limit } = mailbox;
  const bound = limit && (limit.events !== null ? `of ${short(limit.events)}` : limit.bytes !== null ? `of ${bytes(limit.bytes)}` : "");
  setText("limit", limit ? `${bound} ${limit.when_full.replace("_", " ")}` : "in the mailbox");
  const age = mailbox.oldest_secs;
  setText("oldest", age === null ? "–" : (mailbox.oldest_is_older ? "> " : "") + millis(age));
  setText("rate", perSecond(rate));
  setText("served", `${short(now.served)} in all`);
  setText("mailbox-bytes", bytes(mailbox.bytes));
  const part = mailbox.counted < mailbox.queued;
  setText("weighed", part ? `of the oldest ${short(mailbox.counted)}` : "names and bodies");
  setText("object-bytes", (memory.is_partial ? "> " : "") + bytes(memory.object_bytes));
  setText("objects", memory.objects === 1 ? "itself" : `in ${short(memory.objects)} objects`);
}

function showStack(now) {
  byId("stack").hidden = now.stack === null;
  const handled = now.handling;
  setText("handling", handled ? `Serves ${handled.name} from ${handled.from || "no process"}.` : "");
  refill(byId("frames"), (now.stack ?? []).map((frame) => {
    const line = document.createElement("li");
    line.textContent = frame;
    return line;
  }));
}

function showMailbox(now) {
  const { mailbox } = now;
  byId("no-queue").hidden = mailbox.queued > 0;
  byId("queue").hidden = mailbox.queued === 0;
  refill(byId("queue-table").tBodies[0], mailbox.by_name.map((one) =>
    tableRow([["soft", one.kind.toLowerCase()], ["id", one.name], ["number", short(one.queued)]])));
  const listed = mailbox.by_name.reduce((sum, one) => sum + one.queued, 0);
  const rest = mailbox.counted - listed;
  const notes = [];
  if (rest > 0) notes.push(`${short(rest)} with other names`);
  if (mailbox.counted < mailbox.queued) notes.push(`${short(mailbox.queued - mailbox.counted)} younger ones are not counted`);
  if (mailbox.postponed > 0) notes.push(`${short(mailbox.postponed)} postponed until its state changes`);
  setText("counted", notes.length ? `And ${notes.join("; ")}.` : "");
}

function showEvents(now) {
  const { recording, not_recorded: refusal } = now;
  const events = recording?.events ?? [];
  byId("events").hidden = events.length === 0;
  refill(byId("event-table").tBodies[0], events.map((one) => tableRow([
    ["soft", clockTime(one.time)],
    ["soft wide", one.kind.toLowerCase()],
    ["id", one.name],
    ["id", one.from],
    ["number wide", bytes(one.size)],
  ])));
  const since = recording && `${short(recording.served)} served and ${short(recording.arrived)} queued in ${duration(recording.since_secs)}`;
  setText("recording", refusal ? `Not recorded: ${refusal}.`
    : recording ? `${since}; the last ${events.length}, begun at:` : "Not recorded.");
}

// A card with a heading, and what is listed in it; each item is a text or an element.
function card(heading, { listed, total }, item) {
  const box = document.createElement("section");
  box.className = "card";
  const title = document.createElement("h3");
  title.textContent = heading;
  const list = document.createElement("ul");
  list.className = "plain mono";
  for (const one of listed) {
    const line = document.createElement("li");
    line.append(item(one));
    list.append(line);
  }
  const rest = document.createElement("p");
  rest.className = "muted";
  rest.textContent = total === 0 ? "none" : total > listed.length ? `and ${short(total - listed.length)} more` : "";
  box.append(title, list, rest);
  return box;
}

function peer(one, heading) {
  const made = processLink(one.id, one.is_here, one.is_here ? one.id : one.upid);
  if (one.is_here) made.dataset.key = `${heading} ${one.id}`;
  return made;
}

function delegate(one) {
  const line = document.createElement("span");
  line.append(`${one.name} → `, peer(one, `delegate ${one.name}`));
  return line;
}

function showLists(now) {
  refill(byId("links"), [
    card("It watches", now.links.to, (one) => peer(one, "to")),
    card("Watched by", now.links.from, (one) => peer(one, "from")),
  ]);
  byId("help").hidden = now.routes.total === 0;
  byId("help").href = `${root}help/${encodeId(now.id)}`;
  refill(byId("handlers"), [
    card("Messages", now.handlers, (one) => one),
    card("Routes", now.routes, (one) => `${one.methods ? one.methods.join(", ") + " " : ""}${one.path}${one.realm ? ` (${one.realm})` : ""}`),
    card("Delegates", now.delegates, delegate),
  ]);
}

async function refresh() {
  const now = await fetchJSON(`${node}/process?${wanted}&format=json&watch=${WATCH}`);
  showNumbers(now);
  showStack(now);
  showMailbox(now);
  showEvents(now);
  showLists(now);
  before = now;
  return true;
}

poll(refresh);
