// How messages look. What people wrote is only ever set as text.

const TOGETHER = 5 * 60; // seconds in which messages of one person stand together
const LINK = /https?:\/\/[^\s<>"]+/g;
const END_OF_LINK = /[.,:;!?)\]}'*]+$/;

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// A colour for a person, the same everywhere.
export function colour(target, who) {
  const number = Number.parseInt(who.slice(0, 6), 16) || 0;
  target.style.setProperty("--hue", String((number % 24) * 15));
}

export function avatar(who, name) {
  const made = element("span", "avatar", initials(name));
  made.setAttribute("aria-hidden", "true");
  colour(made, who);
  return made;
}

export function initials(name) {
  const words = name.split(" ").filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0]).join("").toLocaleUpperCase();
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function day(seconds) {
  const date = new Date(seconds * 1000);
  const today = new Date();
  const yesterday = new Date();
  yesterday.setDate(today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return "Today";
  if (date.toDateString() === yesterday.toDateString()) return "Yesterday";
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year: "numeric" });
}

export function separator(text, className = "") {
  const line = element("li", `separator ${className}`);
  line.append(element("span", "", text));
  return line;
}

// An item of the log. before: the message above it, if there is one.
export function item(message, before, isMine) {
  const isFirst = !before || before.who !== message.who || before.name !== message.name
    || message.at - before.at > TOGETHER || day(before.at) !== day(message.at);
  const line = element("li", `message${isMine ? " mine" : ""}${isFirst ? " first" : ""}`);
  line.dataset.number = message.number ?? "";
  line.dataset.token = message.token;
  if (!isMine) line.append(isFirst ? avatar(message.who, message.name) : element("span", "gutter"));
  const body = element("div", "body");
  const head = element("p", isFirst ? "head" : "head hidden");
  const name = element("span", isMine ? "name hidden" : "name", isMine ? "You" : message.name);
  colour(name, message.who);
  const time = element("time", "", clock(message.at));
  time.dateTime = new Date(message.at * 1000).toISOString();
  time.title = new Date(message.at * 1000).toLocaleString();
  head.append(name, " ", time);
  const text = element("p", "text");
  text.dir = "auto";
  text.append(...pieces(message.text));
  body.append(head, text);
  line.append(body);
  return line;
}

// The text, with links that can be followed.
function pieces(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const url = match[0].replace(END_OF_LINK, "");
    if (!URL.canParse(url)) continue;
    const link = element("a", "", url);
    link.href = url;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    found.push(text.slice(end, match.index), link);
    end = match.index + url.length;
  }
  found.push(text.slice(end));
  return found;
}
