// The page: login, what the player does, what the server says, and what of it is shown where.

import { hueOf } from "./bearer.js";
import { Connection } from "./connection.js";
import { Game } from "./game.js";
import { Scene } from "./scene.js";

const LOGIN = 101;
const MOVE = 102;
const CATCH = 103;
const SAY = 104;
const STEP = 100; // ms between two moves that are sent
const CHAT_LINES = 60;
const PASSING = ["unavailable", "timeout", "overloaded", "rate_limited"]; // errors that trying again cures
const KEYS = {
  arrowup: [0, -1], w: [0, -1], arrowdown: [0, 1], s: [0, 1], arrowleft: [-1, 0], a: [-1, 0], arrowright: [1, 0], d: [1, 0],
};

const $ = (id) => document.getElementById(id);
const port = document.querySelector('meta[name="gate-port"]').content;
const scheme = location.protocol === "https:" ? "wss" : "ws";
const connection = new Connection(`${scheme}://${location.hostname}:${port}/`);
const game = new Game();
const scene = new Scene($("scene"), game);
const pressed = new Set();
let entering = false;
let name = null; // under which to come in, also after a reconnect
let quarry = null; // the firefly that was clicked, walked after until it is in reach
let wish = null; // a goal that the server has not been told yet
let lastMove = 0;
let pointer = null; // where a finger or button is held down

// --------------------------------------------------------------------------------------------- coming in

async function login() {
  if (entering) return;
  entering = true;
  try {
    const body = await connection.call(LOGIN, { name });
    game.welcome(body, performance.now());
    $("chat").replaceChildren();
    for (const line of body.chat) addLine(line.name, line.text);
    $("problem").textContent = "";
    show("play");
  } catch (error) {
    turnedAway(error);
  } finally {
    entering = false;
  }
}

function turnedAway(error) {
  if (PASSING.includes(error.code)) {
    // a lost connection logs in by itself when it is made again
    if (connection.state === "open") setTimeout(() => name && login(), 500);
    return;
  }
  name = null;
  $("problem").textContent = error.message;
  show("login");
}

function show(screen) {
  const entering = screen === "play" && document.body.dataset.screen !== "play";
  document.body.dataset.screen = screen;
  if (screen === "login") $("who").focus();
  if (!entering) return showRanking();
  document.activeElement?.blur();
  setTimeout(() => $("hint").classList.add("gone"), 15000);
  return showRanking();
}

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  name = $("who").value;
  remember(name);
  $("problem").textContent = "";
  if (connection.state === "open") login();
  else connection.dial(); // not before: the gate gives who has not logged in a few seconds only
});

function remember(text) {
  try {
    sessionStorage.setItem("name", text);
  } catch {
    // a browser without storage forgets the name, that is all
  }
}

connection.addEventListener("open", () => name && login());
connection.addEventListener("state", ({ detail: state }) => {
  if (state === "waiting" && document.body.dataset.screen === "login") $("problem").textContent = "The meadow is out of sight, trying again …";
  $("dot").dataset.state = state;
  $("link").textContent = { connecting: "connecting", open: "connected", waiting: "connection lost, trying again", ended: "ended" }[state];
});

/** Ask for something as this player; when the world has forgotten him after a restart, come in again. */
async function ask(cmd, body) {
  try {
    return await connection.call(cmd, body);
  } catch (error) {
    if (["not_here", "login_first"].includes(error.code)) login();
    else if (error.code !== "gone" && !PASSING.includes(error.code)) toast(error.message);
    return null;
  }
}

// ------------------------------------------------------------------------------------ what the server says

const hear = {
  world(body) {
    if (game.you && !game.world(body, performance.now())) login();
  },
  chat({ name: who, text }) {
    addLine(who, text);
    scene.bubbles.set(who, { text, since: performance.now() });
  },
  caught(body) {
    const firefly = game.caught(body);
    if (firefly) scene.burst(firefly, body.points, body.player === game.you);
    if (quarry === body.firefly) quarry = null;
    showRanking();
  },
  left(body) {
    if (body.player === game.you) return yieldToOther();
    return game.left(body);
  },
};

/** This player has come in from elsewhere: stop here, or two pages with one name would throw each other out for ever. */
function yieldToOther() {
  connection.end();
  name = null;
  $("problem").textContent = "You have walked in from somewhere else.";
  show("login");
}

connection.addEventListener("push", ({ detail: message }) => hear[message.name]?.(message.body));

// --------------------------------------------------------------------------------------- what is shown

function showRanking() {
  const own = game.me?.name;
  $("name").textContent = own ?? "";
  $("score").textContent = game.ranking.find((rank) => rank.name === own)?.score ?? 0;
  $("ranking-empty").hidden = game.ranking.length > 0;
  $("ranking").replaceChildren(...game.ranking.map((rank, place) => {
    const line = document.createElement("li");
    line.dataset.place = place + 1;
    line.classList.toggle("mine", rank.name === own);
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = rank.name;
    const score = document.createElement("span");
    score.textContent = rank.score;
    line.append(who, score);
    return line;
  }));
}

function addLine(who, text) {
  const line = document.createElement("li");
  const speaker = document.createElement("b");
  speaker.textContent = `${who}: `;
  speaker.style.color = `hsl(${hueOf(who.toLowerCase())} 70% 76%)`;
  line.append(speaker, text);
  $("chat").append(line);
  while ($("chat").children.length > CHAT_LINES) $("chat").firstChild.remove();
  $("chat").scrollTop = $("chat").scrollHeight;
}

let toasting;
function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toasting);
  toasting = setTimeout(() => $("toast").classList.remove("shown"), 1600);
}

// ------------------------------------------------------------------------------------ what the player does

function walk(x, y) {
  if (!game.me) return;
  wish = game.goal = { x: Math.max(0, Math.min(game.width, x)), y: Math.max(0, Math.min(game.height, y)) };
}

function sendWish(now) {
  if (!wish || now - lastMove < STEP) return;
  ask(MOVE, wish);
  wish = null;
  lastMove = now;
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

window.meadow = { connection, game, scene };
