// A peer: one Colyseus room over its WebSocket transport.  colyseus.mjs PORT [SEATS PATHS]
// Command "echo" answers the client, "broadcast" sends to everybody in the room and answers.
// SEATS seats are reserved, as the matchmaker would for as many clients; their paths are written to the file PATHS.
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { Server, Room, matchMaker } = require("@colyseus/core");
const { WebSocketTransport } = require("@colyseus/ws-transport");

class Echo extends Room {
  constructor(...rest) {
    super(...rest);
    this.maxClients = 20000;
    this.autoDispose = false;
    this.patchRate = null;
    this.seatReservationTimeout = 120;
  }
  onCreate() {
    this.onMessage("echo", (client, message) => client.send("echo", message));
    this.onMessage("broadcast", (client, message) => {
      this.broadcast("push", message);
      client.send("echo", message);
    });
  }
}

const [port, seats, paths] = process.argv.slice(2);
const server = new Server({ greet: false, transport: new WebSocketTransport({ pingInterval: 0 }) });
server.define("echo", Echo);
await server.listen(Number(port), "127.0.0.1");
const lines = [];
for (let i = 0; i < Number(seats ?? 0); i++) {
  const seat = await matchMaker.joinOrCreate("echo", {});
  const room = seat.room ?? seat;
  lines.push(`/${room.processId}/${room.roomId}?sessionId=${seat.sessionId}`);
}
if (paths) fs.writeFileSync(paths, lines.join("\n") + "\n");
console.log("ready");
