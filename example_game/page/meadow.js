// The page: coming in, what the player does, what the server says, and what of it is shown where.

import { Client } from "/client/firefly-client.js";
import { Game } from "./game.js";
import { addLine, showMeadows, showRanking, toast } from "./panels.js";
import { Scene } from "./scene.js";

const LOGIN = 101;
const MOVE = 102;
const CATCH = 103;
const SAY = 104;
const GIVE = 107;
const WANDER = 108;
const GIFT = 5; // gold that one click gives away
const STEP = 100; // ms between two moves that are sent
const PASSING = ["unavailable", "timeout", "overloaded", "rate_limited", "disconnected", "ended"]; // not the player's fault
const LINK = { connecting: "connecting", open: "connected", waiting: "connection lost, trying again", ended: "ended" };
const FAREWELLS = { logged_in_elsewhere: "You have walked in from somewhere else." };
const KEYS = {
  arrowup: [0, -1], w: [0, -1], arrowdown: [0, 1], s: [0, 1], arrowleft: [-1, 0], a: [-1, 0], arrowright: [1, 0], d: [1, 0],
};

const $ = (id) => document.getElementById(id);
const port = document.querySelector('meta[name="gate-port"]').content;
const scheme = location.protocol === "https:" ? "wss" : "ws";
const client = new Client(`${scheme}://${location.hostname}:${port}/`, {
  login: async (line) => {
    anew = true;
    come(await line.request(LOGIN, { name, meadow: game.meadow }));
  },
});
const game = new Game();
const scene = new Scene($("scene"), game);
const pressed = new Set();
let name = null; // under which to come in, also when the session is lost
let lostAt = null; // when the line was lost
let anew = false; // whether the session had to begin anew
let looking = false; // whether everything is being asked for
let quarry = null; // the firefly that was clicked, walked after until it is in reach
let wish = null; // a goal that the server has not been told yet
let lastMove = 0;
let pointer = null; // where a finger or button is held down

// --------------------------------------------------------------------------------------------- coming in

/** Take the answer to a login or a wandering: a meadow with everything in it. */
function come(body) {
  game.welcome(body, performance.now());
  scene.show(game.meadow);
  quarry = pointer = null;
  $("chat").replaceChildren();
  for (const line of body.chat) addLine(line.name, line.text);
  $("problem").textContent = "";
  showMeadows(game, wander);
  show("play");
}

/** Ask anew for everything there is: the world has been restarted, or more was missed than the server had kept. */
async function look() {
  if (looking || !name) return;
  looking = true;
  const body = await ask(LOGIN, { name, meadow: game.meadow });
  if (body) come(body);
  setTimeout(() => {
    looking = false;
    if (!body) look();
  }, 500);
}

function show(screen) {
  const entering = screen === "play" && document.body.dataset.screen !== "play";
  document.body.dataset.screen = screen;
  if (screen === "login") $("who").focus();
  if (!entering) return showRanking(game);
  document.activeElement?.blur();
  setTimeout(() => $("hint").classList.add("gone"), 15000);
  return showRanking(game);
}

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  name = $("who").value;
  remember(name);
  $("problem").textContent = "";
  game.meadow = "";
  // Not before: the gate gives who has not logged in a few seconds only. What goes wrong is told by `onState`.
  client.connect(Infinity).catch(() => {});
});

function remember(text) {
  try {
    sessionStorage.setItem("name", text);
  } catch {
    // a browser without storage forgets the name, that is all
  }
}

client.onState((state, reason, error) => {
  document.body.dataset.link = $("dot").dataset.state = state;
  $("link").textContent = LINK[state];
  if (state === "waiting") {
    if (lostAt === null) [lostAt, anew] = [performance.now(), false];
    if (document.body.dataset.screen === "login") $("problem").textContent = "The meadow is out of sight, trying again …";
  } else if (state === "open" && lostAt !== null) {
    const after = `Back after ${((performance.now() - lostAt) / 1000).toFixed(1)} s`;
    toast(anew ? `${after}, as a newcomer` : `${after}, as if nothing had happened`, 4000);
    lostAt = null;
  } else if (state === "ended" && reason !== "closed") {
    leave(error ? error.message : (FAREWELLS[reason] ?? `You were sent away: ${reason}.`));
  }
});
client.onResync(() => look());

/** Show why this player is not in the meadow any more. Whoever was replaced does not come back by himself, or two pages
 * with one name would throw each other out for ever. */
function leave(why) {
  name = lostAt = null;
  $("problem").textContent = why;
  show("login");
}

/** Ask for something as this player; when the world has forgotten him after a restart, come in again. */
async function ask(cmd, body) {
  try {
    return await client.request(cmd, body);
  } catch (error) {
    if (["not_here", "login_first"].includes(error.code)) look();
    else if (error.code !== "gone" && !PASSING.includes(error.code)) toast(error.message);
    return null;
  }
}

$("cut").addEventListener("click", () => {
  $("cut").blur();
  client.drop();
});

// ------------------------------------------------------------------------------------ what the server says

const hear = {
  world(body) {
    // Another world than the one we are in: it was restarted, or we are just walking over, which ends in an answer.
    if (game.you && !game.world(body, performance.now()) && !document.body.dataset.walk) look();
  },
  chat({ name: who, text }) {
    addLine(who, text);
    scene.bubbles.set(who, { text, since: performance.now() });
  },
  caught(body) {
    const firefly = game.caught(body);
    if (firefly) scene.burst(firefly, body.points, body.player === game.you);
    if (quarry === body.firefly) quarry = null;
    showRanking(game);
  },
  gift({ name: giver, gold, purse }) {
    game.gold = purse;
    toast(`${giver} gives you ${gold} gold`, 3000);
    showRanking(game);
  },
  left(body) {
    if (body.player !== game.you) game.left(body);
  },
};
for (const [push, handler] of Object.entries(hear)) client.on(push, handler);

// ------------------------------------------------------------------------------------ what the player does

function walk(x, y) {
  if (!game.me) return;
  wish = game.goal = { x: Math.max(0, Math.min(game.width, x)), y: Math.max(0, Math.min(game.height, y)) };
}

function sendWish(now) {
  if (!wish || now - lastMove < STEP || client.state !== "open") return;
  ask(MOVE, wish);
  wish = null;
  lastMove = now;
}

/** Go to another meadow: it grows dark, and there one is. */
async function wander(meadow) {
  if (meadow === game.meadow || document.body.dataset.walk) return;
  document.body.dataset.walk = "away";
  await new Promise((done) => setTimeout(done, 400));
  // Not before: an answer that waited for the dark would come after what was said meanwhile, and wipe it away.
  const body = await ask(WANDER, { to: meadow });
  if (body) come(body);
  delete document.body.dataset.walk;
}

async function reach(firefly) {
  quarry = null;
  await ask(CATCH, { firefly: firefly.id });
}

function follow() {
  const firefly = game.fireflies.get(quarry);
  if (!firefly) quarry = null;
  else if (game.distance(firefly) < game.reach * 0.85) reach(firefly);
  else walk(firefly.x, firefly.y);
}

function steer() {
  let x = 0;
  let y = 0;
  for (const key of pressed) [x, y] = [x + KEYS[key][0], y + KEYS[key][1]];
  if (!x && !y) return;
  quarry = null;
  const long = Math.hypot(x, y);
  walk(game.me.x + (x / long) * 160, game.me.y + (y / long) * 160);
}

$("scene").addEventListener("pointerdown", (event) => {
  if (!game.me || event.button > 0) return;
  document.activeElement?.blur();
  const now = performance.now();
  const firefly = scene.firefly_at(event.clientX, event.clientY, now);
  quarry = firefly?.id ?? null;
  if (firefly) return follow();
  $("scene").setPointerCapture(event.pointerId);
  pointer = scene.ground_at(event.clientX, event.clientY);
  scene.ripple = { ...pointer, since: now };
  return walk(pointer.x, pointer.y);
});
$("scene").addEventListener("pointermove", (event) => {
  if (pointer) pointer = scene.ground_at(event.clientX, event.clientY);
});
for (const end of ["pointerup", "pointercancel"]) $("scene").addEventListener(end, () => (pointer = null));

window.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  const typing = ["INPUT", "BUTTON", "SUMMARY"].includes(document.activeElement?.tagName);
  if (key === "escape") document.activeElement?.blur();
  if (typing || !game.me || event.ctrlKey || event.metaKey || event.altKey) return;
  if (key in KEYS) pressed.add(key);
  else if (key === "enter") $("text").focus();
  else if (key === " ") catchNearest();
  else return;
  event.preventDefault();
});
window.addEventListener("keyup", (event) => {
  if (pressed.delete(event.key.toLowerCase()) && !pressed.size && game.me) walk(game.me.x, game.me.y);
});
window.addEventListener("blur", () => pressed.clear());

$("give").addEventListener("click", async () => {
  $("give").blur();
  const taker = game.neighbour();
  if (!taker) return toast("there is nobody to give it to");
  const purse = await ask(GIVE, { to: taker.id, gold: GIFT });
  if (!purse) return null;
  game.gold = purse.gold;
  toast(`You give ${taker.name} ${GIFT} gold`);
  return showRanking(game);
});

function catchNearest() {
  const firefly = game.nearest();
  if (firefly) reach(firefly);
  else toast("no firefly within reach");
}

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  $("text").value = "";
  if (text) ask(SAY, { text });
  else $("text").blur();
});

// ------------------------------------------------------------------------------------------------ the loop

let before = performance.now();
function frame(now) {
  requestAnimationFrame(frame);
  const seconds = Math.min(0.1, (now - before) / 1000);
  before = now;
  if (game.me) {
    steer();
    if (quarry !== null) follow();
    else if (pointer) walk(pointer.x, pointer.y);
    sendWish(now);
  }
  game.step(now, seconds);
  scene.draw(now);
}

try {
  $("who").value = sessionStorage.getItem("name") ?? "";
} catch {
  // see remember()
}
$("ranking-panel").open = window.innerWidth > 700;
$("who").focus();
requestAnimationFrame(frame);

window.meadow = { client, game, scene };
