// A catch, for the eye: sparks that fly out, a ring that widens, and the points that rise.

import { chance } from "./scenery.js";

const LASTS = 1200; // ms

export class Burst {
  constructor(firefly, points, { mine, lift, now, calm }) {
    const random = chance(firefly.id);
    const spark = () => ({ turn: random() * 6.3, speed: 0.3 + random() * 0.9, size: 9 + random() * 18 });
    Object.assign(this, { x: firefly.x, y: firefly.y, kind: firefly.kind, points, mine, lift, calm, since: now });
    this.sparks = Array.from({ length: calm ? 0 : 26 }, spark);
  }

  over(now) {
    return now - this.since >= LASTS;
  }

  /** Draw it at its place on the screen; `shine(x, y, size, flat, alpha)` draws one light of its colour. */
  draw(context, at, now, [red, green, blue], shine) {
    const age = Math.max(0, now - this.since) / LASTS;
    const out = 1 - (1 - age) ** 3;
    const y = at.y - this.lift;
    shine(at.x, y, (60 + 190 * out) * at.size, 1, (1 - age) ** 2 * 0.9);
    for (const { turn, speed, size } of this.sparks) {
      const far = speed * out * 74 * at.size;
      const fall = age * age * 34 * at.size;
      shine(at.x + Math.cos(turn) * far, y + Math.sin(turn) * far + fall, size * at.size, 1, 1 - age);
    }
    context.strokeStyle = `rgb(${red} ${green} ${blue} / ${(1 - age) * 0.6})`;
    context.lineWidth = 2 * (1 - age) + 0.3;
    context.beginPath();
    context.arc(at.x, y, 62 * out * at.size, 0, 7);
    context.stroke();
    context.font = `600 ${Math.round((this.mine ? 22 : 16) * at.size)}px ui-rounded, "Segoe UI", system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillStyle = `rgb(255 250 225 / ${Math.min(1, (1 - age) * 2)})`;
    context.fillText(`+${this.points}`, at.x, y - 22 * at.size - (this.calm ? 0 : 34 * out));
  }
}
