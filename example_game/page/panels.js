// What stands around the scene: the ranking, the chat, the meadows to choose from, and short notes.

import { hueOf } from "./bearer.js";
import { lookOf } from "./looks.js";

const CHAT_LINES = 60;
const $ = (id) => document.getElementById(id);

export function showRanking(game) {
  const own = game.me?.name;
  $("name").textContent = own ?? "";
  $("score").textContent = game.ranking.find((rank) => rank.name === own)?.score ?? 0;
  $("gold").textContent = game.gold;
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

/** Show the meadows; `wander(name)` is called for the one that is chosen. */
export function showMeadows(game, wander) {
  $("meadows").replaceChildren(...game.meadows.map((meadow) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = lookOf(meadow).title;
    button.dataset.meadow = meadow;
    button.setAttribute("aria-current", meadow === game.meadow);
    button.addEventListener("click", () => wander(meadow));
    return button;
  }));
}

export function addLine(who, text) {
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
/** Show a note for a moment. */
export function toast(text, time = 1600) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toasting);
  toasting = setTimeout(() => $("toast").classList.remove("shown"), time);
}
