// What moves in the sky: stars that twinkle, and now and then one that falls.

import { chance } from "./scenery.js";

const FALLS_EVERY = 13000; // ms
const FALLS_FOR = 900;

export class Stars {
  constructor() {
    const random = chance(77);
    const star = () => ({ x: random(), y: random() ** 1.3 * 0.8, phase: random() * 7, size: 0.8 + random() * 0.9 });
    this.all = Array.from({ length: 46 }, star);
  }

  draw(context, width, horizon, now) {
    context.fillStyle = "#f4f7ff";
    for (const { x, y, phase, size } of this.all) {
      context.globalAlpha = Math.max(0, 0.35 + 0.55 * Math.sin(now / 900 + phase)) * (1 - y);
      context.beginPath();
      context.arc(x * width, y * horizon, size, 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
    this.drawFalling(context, width, horizon, now);
  }

  drawFalling(context, width, horizon, now) {
    const age = (now % FALLS_EVERY) / FALLS_FOR;
    if (age > 1) return;
    const random = chance(Math.floor(now / FALLS_EVERY) + 3);
    const x = width * (0.15 + random() * 0.6 + age * 0.16);
    const y = horizon * (0.08 + random() * 0.25 + age * 0.2);
    const [behindX, behindY] = [x - width * 0.07, y - horizon * 0.09];
    const trail = context.createLinearGradient(x, y, behindX, behindY);
    trail.addColorStop(0, `rgb(255 255 255 / ${Math.sin(age * Math.PI) * 0.9})`);
    trail.addColorStop(1, "rgb(255 255 255 / 0)");
    context.strokeStyle = trail;
    context.lineWidth = 1.6;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(behindX, behindY);
    context.stroke();
  }
}
