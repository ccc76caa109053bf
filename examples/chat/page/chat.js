// The page of the chat: what it knows, and what it shows.

import { Connection } from "./connection.js";
import { avatar, colour, day, element, initials, item, separator } from "./messages.js";

const FIRST = "lobby";
const SHOWN = 400; // messages of a room that the page keeps; older ones can be asked for
const ANSWER = 8000; // milliseconds that the node may take to accept a message
const TYPING = 4000; // for which somebody counts as typing
const NAME = /^[a-z0-9](-?[a-z0-9]){0,31}$/;

const $ = (id) => document.getElementById(id);
const isNarrow = matchMedia("(max-width: 720px)");

// What is remembered

const read = (storage, key, other) => {
  try {
    return JSON.parse(storage.getItem(`chat.${key}`)) ?? other;
  } catch {
    return other;
  }
};
const write = (storage, key, value) => {
  try {
    storage.setItem(`chat.${key}`, JSON.stringify(value));
  } catch {
    // It is full, or forbidden: the page works without.
  }
};

function newToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

const me = { key: read(localStorage, "key"), name: read(localStorage, "name"), who: null };
if (!me.key) write(localStorage, "key", (me.key = newToken()));

const rooms = new Map();
let current = null;
let known = []; // the rooms that the node tells of
let isConnected = false;
let wasConnected = false;

class Room {
  constructor(name) {
    this.name = name;
    this.isLive = false;
    this.reason = "";
    this.messages = [];
    this.last = 0;
    this.hasOlder = false;
    this.people = new Map();
    this.typing = new Map();
    // Unsent messages outlive a reload of the page.
    this.outbox = read(sessionStorage, `outbox.${name}`, []);
    this.sending = null;
    this.timer = null;
    this.draft = "";
    this.unread = 0;
    this.seen = 0; // the last message that was there when the room was left
  }

  keepOutbox() {
    write(sessionStorage, `outbox.${this.name}`, this.outbox);
  }

  say(text) {
    this.outbox.push({ token: newToken(), text, at: Date.now() / 1000 });
    this.keepOutbox();
    this.flush();
  }

  // One message at a time: so they keep their order whatever happens.
  flush() {
    if (!this.isLive || this.sending || !this.outbox.length) return;
    const { token, text } = this.outbox[0];
    this.sending = token;
    connection.send({ do: "say", room: this.name, token, text });
    this.wait(ANSWER, () => connection.restart());
  }

  wait(milliseconds, call) {
    clearTimeout(this.timer);
    this.timer = setTimeout(call, milliseconds);
  }

  sent(token) {
    const found = this.outbox.findIndex((one) => one.token === token);
    if (found >= 0) this.outbox.splice(found, 1);
    this.keepOutbox();
    if (this.sending === token) {
      clearTimeout(this.timer);
      this.sending = null;
      this.flush();
    }
  }

  lost() {
    clearTimeout(this.timer);
    this.isLive = false;
    this.sending = null;
    this.typing.clear();
  }

  join() {
    connection.send({ do: "join", room: this.name, since: this.last });
    if (!this.isLive) this.wait(ANSWER, () => isConnected && this.join());
  }
}

// What comes from the node

const connection = new Connection(take, changed, new URLSearchParams(location.search).get("by"));

function changed(isOpen) {
  isConnected = isOpen;
  if (isOpen) {
    wasConnected = true;
    connection.send({ do: "hello", key: me.key, name: me.name });
    for (const room of rooms.values()) room.join();
  } else {
    for (const room of rooms.values()) room.lost();
  }
  showState();
}

function take(event) {
  const does = TAKES[event.do];
  if (!does) return;
  const room = event.room && rooms.get(event.room);
  if (event.room && !room) return;
  does(event, room);
}

const TAKES = {
  welcome(event) {
    me.who = event.who;
    me.name = event.name;
    write(localStorage, "name", me.name);
    showMe();
  },

  rooms(event) {
    known = event.rooms;
    showRooms();
  },

  joined(event, room) {
    if (!room.isLive) clearTimeout(room.timer);
    room.isLive = true;
    room.reason = "";
    room.people = new Map(event.people.map((one) => [one.who, one.name]));
    if (event.fresh) {
      room.messages = [];
      room.last = 0;
      room.hasOlder = event.more;
    }
    const isFirst = event.fresh && !room.seen;
    const added = event.messages.filter((message) => add(room, message));
    if (isFirst) room.seen = room.last;
    else if (added.length) noticed(room, added);
    if (!event.fresh && event.more) room.join();
    room.flush();
    if (room === current) showRoom(event.fresh);
    showRooms();
    showState();
  },

  message(event, room) {
    if (!add(room, event)) return;
    room.typing.delete(event.who);
    noticed(room, [event]);
    if (room === current) {
      showMessage(event);
      showTyping();
    }
    showRooms();
  },

  accepted(event, room) {
    room.sent(event.token);
    if (room === current) showPending();
  },

  later(event, room) {
    if (room.sending !== event.token) return;
    room.wait(1000, () => {
      room.sending = null;
      room.flush();
    });
  },

  refused(event, room) {
    if (!room) {
      ask(event.reason);
      return;
    }
    if (event.token) {
      const found = room.outbox.find((one) => one.token === event.token);
      room.sent(event.token);
      if (found && room === current && !$("text").value) writeText(found.text);
    } else {
      room.reason = event.reason;
      room.wait(15_000, () => isConnected && room.join());
    }
    say(event.reason);
    if (room === current) showRoom(false);
    showState(event.reason);
  },

  came(event, room) {
    const isNew = !room.people.has(event.who);
    room.people.set(event.who, event.name);
    if (room !== current) return;
    if (isNew && event.who !== me.who) say(`${event.name} came in`);
    showPeople();
  },

  left(event, room) {
    room.people.delete(event.who);
    room.typing.delete(event.who);
    if (room !== current) return;
    say(`${event.name} left`);
    showPeople();
    showTyping();
  },

  typing(event, room) {
    if (event.who === me.who) return;
    room.typing.set(event.who, { name: event.name, until: Date.now() + TYPING });
    if (room === current) showTyping();
    setTimeout(() => room === current && showTyping(), TYPING + 50);
  },

  older(event, room) {
    const first = room.messages[0]?.number ?? Infinity;
    const added = event.messages.filter((message) => message.number < first);
    room.messages.unshift(...added);
    room.hasOlder = event.more;
    if (room === current) showOlder(added.length);
  },

  away(event, room) {
    room.lost();
    room.wait(600 + Math.random() * 900, () => isConnected && room.join());
    showState();
  },
};

// Keep a message; tell whether it is new.
function add(room, message) {
  if (message.number <= room.last) return false;
  room.last = message.number;
  room.messages.push(message);
  if (message.who === me.who) room.sent(message.token);
  if (room.messages.length > SHOWN + 100) {
    room.messages.splice(0, room.messages.length - SHOWN);
    room.hasOlder = true;
  }
  return true;
}

// Count what has not been read, and read it out.
function noticed(room, messages) {
  const others = messages.filter((message) => message.who !== me.who);
  const isRead = room === current && !document.hidden && isAtEnd();
  if (room === current && others.length) {
    const [last] = others.slice(-1);
    say(others.length > 3 ? `${others.length} new messages` : `${last.name}: ${last.text}`);
  }
  if (!isRead) room.unread += others.length;
  else room.seen = room.last;
  showTitle();
}

// What is shown

const scroller = $("scroller");
const log = $("log");

function isAtEnd() {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
}

function toEnd() {
  scroller.scrollTop = scroller.scrollHeight;
  $("newest").hidden = true;
}

function showRoom(isFresh = true) {
  const room = current;
  const wasAtEnd = isFresh || isAtEnd();
  $("room-name").textContent = room.name;
  $("text-label").textContent = `Message to ${room.name}`;
  $("text").placeholder = `Message to ${room.name}`;
  $("leave").hidden = rooms.size < 2;
  log.replaceChildren();
  let before = null;
  let isMarked = false;
  for (const message of room.messages) {
    if (!before || day(before.at) !== day(message.at)) log.append(separator(day(message.at)));
    if (!isMarked && room.unread && message.number > room.seen && message.who !== me.who) {
      log.append(separator("New", "new"));
      isMarked = true;
    }
    log.append(item(message, before, message.who === me.who));
    before = message;
  }
  if (!room.messages.length && room.isLive) {
    log.append(element("li", "empty", "Nothing was said here yet. Say hello!"));
  }
  $("older").hidden = !room.hasOlder;
  showPending();
  showPeople();
  showTyping();
  if (wasAtEnd) toEnd();
}

function showMessage(message) {
  const wasAtEnd = isAtEnd() || message.who === me.who;
  const before = current.messages.at(-2);
  log.querySelector(".empty")?.remove();
  log.querySelector(`.pending[data-token="${message.token}"]`)?.remove();
  const pending = log.querySelector(".pending");
  const made = [];
  if (!before || day(before.at) !== day(message.at)) made.push(separator(day(message.at)));
  made.push(item(message, before, message.who === me.who));
  pending ? pending.before(...made) : log.append(...made);
  if (wasAtEnd) toEnd();
  else $("newest").hidden = false;
}

// My messages that the room has not accepted yet stand below all others.
function showPending() {
  log.querySelectorAll(".pending").forEach((one) => one.remove());
  let before = current.messages.at(-1);
  for (const one of current.outbox) {
    const message = { ...one, who: me.who, name: me.name };
    const line = item(message, before, true);
    line.classList.add("pending");
    line.querySelector(".head").append(element("span", "state", " · sending"));
    line.querySelector(".head").classList.remove("hidden");
    log.append(line);
    before = message;
  }
}

function showOlder(count) {
  const before = scroller.scrollHeight - scroller.scrollTop;
  showRoom(false);
  scroller.scrollTop = scroller.scrollHeight - before;
  say(`${count} older messages`);
  if ($("older").hidden) scroller.focus();
}

function showPeople() {
  const { people } = current;
  const sorted = [...people].sort(
    ([a, one], [b, other]) => (b === me.who) - (a === me.who) || one.localeCompare(other, undefined, { numeric: true }),
  );
  const count = (name) => sorted.filter(([, other]) => other === name).length;
  $("people-list").replaceChildren(...sorted.map(([who, name]) => {
    const line = element("li", "person");
    line.append(avatar(who, name), element("span", "name", name));
    if (who === me.who) line.append(element("span", "note", "you"));
    // Two people of one name are told apart by what cannot be chosen.
    else if (count(name) > 1) line.append(element("span", "note", who.slice(0, 4)));
    return line;
  }));
  $("room-about").textContent = people.size === 1 ? "1 person" : `${people.size} people`;
  $("show-people").setAttribute("aria-label", `People here: ${people.size}`);
}

function showTyping() {
  const now = Date.now();
  for (const [who, { until }] of current.typing) if (until <= now) current.typing.delete(who);
  const names = [...current.typing.values()].map(({ name }) => name);
  $("typing").textContent = names.length > 3 ? "Several people are typing"
    : names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)} are typing`
    : names.length ? `${names[0]} is typing` : "";
  $("typing").classList.toggle("is-shown", names.length > 0);
}

function showRooms() {
  const counts = new Map(known.map(({ name, people }) => [name, people]));
  const others = [...counts.keys()].filter((name) => !rooms.has(name)).sort();
  const focused = document.activeElement?.dataset?.room;
  $("room-list").replaceChildren(...[...rooms.keys(), ...others].map((name) => {
    const room = rooms.get(name);
    const button = element("button", "room");
    button.type = "button";
    button.dataset.room = name;
    button.append(element("span", "hash", "#"), element("span", "name", name));
    const people = room?.isLive ? room.people.size : counts.get(name) ?? 0;
    const unread = room?.unread ?? 0;
    if (unread) button.append(element("span", "badge", unread > 99 ? "99+" : String(unread)));
    else if (people) button.append(element("span", "count", String(people)));
    if (room === current) button.setAttribute("aria-current", "page");
    if (!room) button.classList.add("other");
    const about = [`${people} here`, unread && `${unread} unread`, !room && "not entered"];
    button.setAttribute("aria-label", `${name}, ${about.filter(Boolean).join(", ")}`);
    const line = element("li");
    line.append(button);
    return line;
  }));
  if (focused) $("room-list").querySelector(`[data-room="${focused}"]`)?.focus();
  showTitle();
}

function showTitle() {
  const unread = [...rooms.values()].reduce((sum, room) => sum + room.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}${current ? current.name : "Chat"} – Chat`;
  const elsewhere = [...rooms.values()].some((room) => room !== current && room.unread);
  $("elsewhere").hidden = !elsewhere;
}

function showMe() {
  $("my-name").textContent = me.name;
  $("my-avatar").textContent = initials(me.name);
  colour($("my-avatar"), me.who ?? "");
}

function showState() {
  const text = !isConnected && wasConnected
    ? "The connection is lost. It will be back; what you write is kept."
    : !isConnected ? (hasBegun ? "Connecting…" : "")
    : current?.reason ? current.reason
    : current && !current.isLive ? `${current.name} cannot be reached just now. What you write is kept.`
    : "";
  clearTimeout(showState.timer);
  // A connection that is back at once need not be told.
  if (text) showState.timer = setTimeout(() => ($("banner").textContent = text), 700);
  else $("banner").textContent = "";
  document.body.dataset.state = isConnected ? "open" : "lost";
}

// For a screen reader.
function say(text) {
  const line = element("p", "", text);
  $("announcer").append(line);
  setTimeout(() => line.remove(), 5000);
}

// What people do

function enter(name, { mayFocus = true } = {}) {
  if (current) {
    current.draft = $("text").value;
    current.seen = current.last;
  }
  let room = rooms.get(name);
  if (!room) {
    room = new Room(name);
    rooms.set(name, room);
    if (isConnected) room.join();
    keepRooms();
  }
  current = room;
  writeText(room.draft);
  showRoom();
  room.unread = 0;
  room.seen = room.last;
  showRooms();
  showState();
  closePanes(false);
  if (location.hash.slice(1) !== name) history.pushState(null, "", `#${name}`);
  write(localStorage, "current", name);
  if (mayFocus && !isNarrow.matches) $("text").focus();
}

function leave(room) {
  connection.send({ do: "leave", room: room.name });
  room.lost();
  rooms.delete(room.name);
  sessionStorage.removeItem(`chat.outbox.${room.name}`);
  keepRooms();
  current = null;
  enter([...rooms.keys()].at(-1) ?? FIRST);
  say(`You left ${room.name}`);
}

function keepRooms() {
  write(localStorage, "rooms", [...rooms.keys()]);
}

function step(by) {
  const names = [...rooms.keys()];
  const next = names[(names.indexOf(current.name) + by + names.length) % names.length];
  enter(next);
  say(`Room ${next}`);
}

function toName(text) {
  const name = text.trim().replace(/^#/, "").toLowerCase().normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 32).replace(/-+$/, "");
  return NAME.test(name) ? name : null;
}

function writeText(text) {
  $("text").value = text;
  fit();
}

function fit() {
  const text = $("text");
  text.style.setProperty("height", "auto");
  text.style.setProperty("height", `${Math.min(text.scrollHeight, 160)}px`);
  $("send").classList.toggle("is-ready", text.value.trim() !== "");
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  current.say(text);
  writeText("");
  lastTyping = 0;
  showPending();
  toEnd();
  $("text").focus();
});

let lastTyping = 0;
$("text").addEventListener("input", () => {
  fit();
  if (!current.isLive || !$("text").value.trim() || Date.now() - lastTyping < 2500) return;
  lastTyping = Date.now();
  connection.send({ do: "typing", room: current.name });
});

$("text").addEventListener("keydown", (event) => {
  // While a word is composed, as in Japanese, Enter belongs to it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("room-list").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) enter(button.dataset.room);
});

$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = toName($("new-room-name").value);
  if (!name) return;
  $("new-room-name").value = "";
  enter(name);
});

$("leave").addEventListener("click", () => leave(current));
$("older").addEventListener("click", () => {
  const before = current.messages[0]?.number;
  if (before) connection.send({ do: "older", room: current.name, before });
});
$("newest").addEventListener("click", toEnd);

function readToEnd() {
  if (!current || document.hidden || !isAtEnd()) return;
  $("newest").hidden = true;
  current.seen = current.last;
  if (!current.unread) return;
  current.unread = 0;
  showRooms();
}
scroller.addEventListener("scroll", readToEnd, { passive: true });
document.addEventListener("visibilitychange", readToEnd);
new ResizeObserver(() => current && $("newest").hidden && toEnd()).observe(scroller);

document.addEventListener("keydown", (event) => {
  if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    step(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape") {
    closePanes(true);
  }
});

addEventListener("popstate", fromAddress);
function fromAddress() {
  const name = toName(decodeURIComponent(location.hash.slice(1)));
  if (name && name !== current?.name) enter(name);
}

// The panes at the sides, which lie over the room where it is narrow

let opener = null;
for (const button of document.querySelectorAll("[data-open]")) {
  button.addEventListener("click", () => {
    opener = button;
    document.body.dataset.pane = button.dataset.open;
    button.setAttribute("aria-expanded", "true");
    const pane = $(button.dataset.open);
    (pane.querySelector("[aria-current]") ?? pane.querySelector("button")).focus();
    $("main").inert = true; // so that the focus stays in the pane
  });
}
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => closePanes(true));
}
$("shade").addEventListener("click", () => closePanes(true));

function closePanes(mayFocus) {
  if (!document.body.dataset.pane) return;
  delete document.body.dataset.pane;
  $("main").inert = false;
  opener?.setAttribute("aria-expanded", "false");
  if (mayFocus) opener?.focus();
}

matchMedia("(max-width: 1080px)").addEventListener("change", () => closePanes(false));
isNarrow.addEventListener("change", () => closePanes(false));

// The name

function ask(reason) {
  $("welcome-title").textContent = me.name && !reason ? "Your name" : "Welcome";
  $("welcome-about").textContent = reason || "What may others call you?";
  $("welcome-cancel").hidden = !me.who;
  $("enter").textContent = me.who ? "Save" : "Enter";
  $("name").value = me.name ?? "";
  if (!$("welcome").open) $("welcome").showModal();
  $("name").select();
}

$("rename").addEventListener("click", () => ask());
$("welcome-cancel").addEventListener("click", () => $("welcome").close());
$("welcome").addEventListener("cancel", (event) => me.who || event.preventDefault());
// Closing gives the focus back to what had it, which is nothing at first.
$("welcome").addEventListener("close", () => isNarrow.matches || $("text").focus());
$("welcome-form").addEventListener("submit", (event) => {
  const name = $("name").value.replace(/\s+/g, " ").trim();
  if (!name) {
    event.preventDefault();
    return;
  }
  const isNew = !hasBegun;
  me.name = name;
  write(localStorage, "name", name);
  showMe();
  if (isNew || !isConnected) begin();
  else changed(true); // each room hears of the name
});

let hasBegun = false;
function begin() {
  if (hasBegun) return;
  hasBegun = true;
  for (const name of read(localStorage, "rooms", [FIRST])) {
    if (NAME.test(name)) rooms.set(name, new Room(name));
  }
  const asked = toName(decodeURIComponent(location.hash.slice(1)));
  enter(asked ?? read(localStorage, "current") ?? FIRST);
  connection.open();
}

showState();
if (me.name) {
  showMe();
  begin();
} else {
  ask();
}
