// The connection to the node: a WebSocket, or where that does not work a stream of events for what
// comes and POST for what goes. It comes back by itself.

const BASE = new URL("../", import.meta.url);
const SHORTEST = 300; // milliseconds until it is tried again, doubled each time
const LONGEST = 6000;
const OPENING = 5000; // milliseconds after which a WebSocket that does not open is given up

export class Connection {
  // take(event) gets what comes; changed(isOpen) is called when the connection opens or is lost.
  // transport: "websocket", "events", or none to find out.
  constructor(take, changed, transport) {
    this.take = take;
    this.changed = changed;
    this.only = transport;
    this.isOpen = false;
    this.tries = 0;
    this.way = null;
    this.timer = null;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  open() {
    clearTimeout(this.timer);
    this.timer = null;
    this.begin(this.only === "events" ? Events : Socket);
  }

  // Do it again, for when nothing comes any more.
  restart() {
    this.end(this.way);
  }

  send(command) {
    if (this.isOpen) this.way.send(command);
  }

  begin(Way) {
    const way = new Way({
      opened: () => {
        if (way !== this.way) return;
        this.tries = 0;
        this.isOpen = true;
        this.changed(true);
      },
      took: (text) => way === this.way && this.take(JSON.parse(text)),
      ended: () => this.end(way),
    });
    this.way = way;
    way.open();
  }

  end(way) {
    if (!way || way !== this.way) return;
    const wasOpen = this.isOpen;
    this.way = null;
    this.isOpen = false;
    way.close();
    if (wasOpen) this.changed(false);
    if (!wasOpen && way instanceof Socket && this.only !== "websocket") {
      this.begin(Events); // something between here and the node may not let WebSockets through
      return;
    }
    const longest = Math.min(SHORTEST * 2 ** this.tries++, LONGEST);
    this.timer = setTimeout(() => this.open(), longest * (0.5 + Math.random() / 2));
  }

  hurry() {
    if (this.timer !== null) this.open();
  }
}

class Socket {
  constructor(on) {
    this.on = on;
  }

  open() {
    const url = new URL("ws", BASE);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.timer = setTimeout(() => this.on.ended(), OPENING);
    this.socket.onopen = () => {
      clearTimeout(this.timer);
      this.on.opened();
    };
    this.socket.onmessage = (event) => this.on.took(event.data);
    this.socket.onclose = () => this.on.ended();
  }

  send(command) {
    this.socket.send(JSON.stringify(command));
  }

  close() {
    clearTimeout(this.timer);
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }
}

class Events {
  constructor(on) {
    this.on = on;
    this.session = null;
    this.waiting = [];
    this.isPosting = false;
  }

  open() {
    this.source = new EventSource(new URL("events", BASE));
    this.source.onmessage = (event) => {
      if (this.session !== null) {
        this.on.took(event.data);
        return;
      }
      this.session = JSON.parse(event.data).session;
      this.on.opened();
    };
    this.source.onerror = () => this.on.ended();
  }

  send(command) {
    this.waiting.push(command);
    if (!this.isPosting) this.post();
  }

  // One request at a time, so that commands arrive in order.
  async post() {
    this.isPosting = true;
    while (this.waiting.length && this.source) {
      const commands = this.waiting.splice(0, 5);
      try {
        const body = JSON.stringify({ session: this.session, commands });
        const response = await fetch(new URL("send", BASE), { method: "POST", body });
        if (!response.ok) throw new Error(response.statusText);
      } catch {
        this.on.ended();
      }
    }
    this.isPosting = false;
  }

  close() {
    this.source.close();
    this.source = null;
  }
}
