// Draws the meadow, sixty times a second: scenery behind, then everybody in order of depth, then the grass in front.

import { chance, light, paintGrass, paintGround, paintHills, paintSky, painted } from "./scenery.js";
import { drawBearer, drawBubble, drawName } from "./bearer.js";
import { Burst } from "./burst.js";
import { lookOf } from "./looks.js";
import { Stars } from "./stars.js";

const COLOURS = [[255, 205, 92], [156, 255, 120], [110, 205, 255]]; // amber, green, blue
const WARM = [255, 190, 96];

export class Scene {
  constructor(canvas, game) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.game = game;
    this.bursts = [];
    this.bubbles = new Map();
    this.ripple = null;
    this.look = lookOf("meadow");
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.glows = COLOURS.map((colour) => light(128, colour));
    this.pools = COLOURS.map((colour) => light(128, colour, 0));
    this.lamp = light(256, WARM, 0.03);
    this.lamplight = light(256, WARM, 0);
    const random = chance(77);
    this.stars = new Stars();
    this.dreams = Array.from({ length: 26 }, () => ({ x: random(), y: random(), phase: random() * 40, kind: random() > 0.9 ? 2 : random() > 0.7 ? 1 : 0 }));
    this.resize();
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  /** Draw the meadow of that name from now on. */
  show(name) {
    if (lookOf(name).title === this.look.title) return;
    this.look = lookOf(name);
    this.bursts = [];
    this.bubbles.clear();
    this.shift = undefined;
    this.resize();
  }

  resize() {
    const { look } = this;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    Object.assign(this, { width, height, ratio });
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.horizon = Math.round(height * 0.37);
    this.top = this.horizon + height * 0.045; // where the farthest players stand
    this.deep = height - (width > 700 ? height * 0.1 : 190) - this.top; // and how far down the nearest ones
    this.span = Math.max(width, this.deep * 1.9); // the meadow's width on this screen; wider than a phone
    this.scale = Math.max(0.75, Math.min(1.6, Math.min(this.span / 1050, height / 620)));
    const tall = Math.max(70, height * 0.13);
    this.sky = painted(width, this.horizon + 60, ratio, (context) => paintSky(context, width, this.horizon + 60, this.horizon, look));
    this.hills = look.hills.map((_, n) => painted(this.span, this.horizon + 40, ratio, (context) => paintHills(context, this.span, this.horizon, look, n)));
    this.ground = painted(this.span, height, ratio, (context) => paintGround(context, this.span, height, this.horizon, look));
    this.grass = [0, 1, 2].map((layer) => painted(this.span + 120, tall * (0.75 + layer * 0.3), ratio, (context) => paintGrass(context, this.span + 120, tall * (0.75 + layer * 0.3), look, layer)));
    this.shade = this.paintShade();
  }

  paintShade() {
    const shade = this.context.createRadialGradient(this.width / 2, this.height * 0.5, Math.min(this.width, this.height) * 0.35, this.width / 2, this.height * 0.5, Math.hypot(this.width, this.height) * 0.58);
    shade.addColorStop(0, "rgb(2 4 14 / 0)");
    shade.addColorStop(1, "rgb(2 4 14 / .55)");
    return shade;
  }

  // ------------------------------------------------------------------------------------ places on the screen

  get camera() {
    const spare = this.span - this.width;
    if (spare <= 0) return 0;
    const at = this.game.me ? (this.game.me.x / this.game.width) * this.span - this.width / 2 : spare / 2;
    return Math.max(0, Math.min(spare, at));
  }

  place(x, y) {
    const far = y / this.game.height;
    return { x: (x / this.game.width) * this.span - this.shift, y: this.top + far * this.deep, size: this.scale * (0.66 + 0.5 * far) };
  }

  /** Give the place in the meadow that is drawn at a point of the canvas. */
  ground_at(x, y) {
    const within = (value, size) => Math.max(0, Math.min(size, value));
    return {
      x: within(((x + this.shift) / this.span) * this.game.width, this.game.width),
      y: within(((y - this.top) / this.deep) * this.game.height, this.game.height),
    };
  }

  hover(firefly, now) {
    const at = this.place(firefly.x, firefly.y);
    const sway = this.calm.matches ? 0 : 1;
    const lift = (40 + 5 * sway * Math.sin(now / 700 + firefly.id * 2.1)) * at.size;
    return { ...at, ground: at.y, x: at.x + 4 * sway * Math.sin(now / 1100 + firefly.id) * at.size, y: at.y - lift };
  }

  /** Give the firefly that is drawn nearest to a point of the canvas, if it is near at all. */
  firefly_at(x, y, now) {
    let best = null;
    let least = Math.max(30, 34 * this.scale);
    for (const firefly of this.game.fireflies.values()) {
      const at = this.hover(firefly, now);
      const distance = Math.min(Math.hypot(at.x - x, at.y - y), Math.hypot(at.x - x, at.ground - y) * 1.6);
      if (distance < least) [best, least] = [firefly, distance];
    }
    return best;
  }

  // ------------------------------------------------------------------------------------------------- drawing

  draw(now) {
    const context = this.context;
    this.now = now;
    this.shift ??= this.camera;
    this.shift += (this.camera - this.shift) * 0.12;
    if (Math.abs(this.camera - this.shift) > this.width) this.shift = this.camera;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.drawBackdrop(context);
    if (this.game.you) this.drawEverybody(context);
    else this.drawDreams(context);
    this.drawFront(context);
  }

  drawBackdrop(context) {
    context.drawImage(this.sky, 0, 0, this.width, this.horizon + 60);
    if (!this.calm.matches) this.stars.draw(context, this.width, this.horizon, this.now);
    this.hills.forEach((hill, n) => context.drawImage(hill, -this.shift * (0.2 + n * 0.2), 0, this.span, this.horizon + 40));
    context.drawImage(this.ground, -this.shift, 0, this.span, this.height);
    this.drawMist(context);
    context.fillStyle = this.shade;
    context.fillRect(0, 0, this.width, this.height);
  }

  drawMist(context) {
    const move = this.calm.matches ? 0 : this.now / 60;
    for (let n = 0; n < 4; n++) {
      const wide = this.span * 0.55;
      const x = ((n * this.span * 0.37 + move * (0.5 + n * 0.2)) % (this.span + wide)) - wide - this.shift * 0.8;
      const y = this.horizon - 12 + n * 12;
      context.save();
      context.translate(x + wide / 2, y);
      context.scale(1, 0.075);
      const mist = context.createRadialGradient(0, 0, 0, 0, 0, wide / 2);
      mist.addColorStop(0, `rgb(${this.look.mist} / .26)`);
      mist.addColorStop(1, `rgb(${this.look.mist} / 0)`);
      context.fillStyle = mist;
      context.fillRect(-wide / 2, -wide / 2, wide, wide);
      context.restore();
    }
  }

  drawEverybody(context) {
    const { players, fireflies, me } = this.game;
    const target = this.game.nearest();
    this.drawReach(context, me, target);
    for (const player of players.values()) this.drawLamplight(context, player);
    for (const firefly of fireflies.values()) this.drawGlowOnGround(context, firefly);
    const bodies = [...players.values(), ...fireflies.values()].sort((one, other) => one.y - other.y);
    for (const body of bodies) {
      if (body.kind === undefined) this.drawPlayer(context, body);
      else this.drawFirefly(context, this.hover(body, this.now), body, body === target);
    }
    this.drawBursts(context);
    for (const player of players.values()) this.drawLabels(context, player);
  }

  drawPlayer(context, player) {
    const at = this.place(player.x, player.y);
    drawBearer(context, at, player, this.now, { mine: player === this.game.me, lamp: this.lamp, calm: this.calm.matches });
  }

  drawLabels(context, player) {
    const at = this.place(player.x, player.y);
    drawName(context, at, player.name, player === this.game.me);
    const bubble = this.bubbles.get(player.name);
    if (bubble && !drawBubble(context, at, bubble, this.now, this.width)) this.bubbles.delete(player.name);
  }

  drawLamplight(context, player) {
    const at = this.place(player.x, player.y);
    const flicker = this.calm.matches ? 1 : 1 + 0.05 * Math.sin(this.now / 130 + at.x) + 0.03 * Math.sin(this.now / 47);
    this.drawLight(context, this.lamplight, at.x + player.facing * 14 * at.size, at.y, 360 * at.size * flicker, 0.4, 0.62);
  }

  drawGlowOnGround(context, firefly) {
    const at = this.hover(firefly, this.now);
    this.drawLight(context, this.pools[firefly.kind] ?? this.pools[0], at.x, at.ground, 130 * at.size, 0.4, 0.55 * this.pulse(firefly));
  }

  drawLight(context, glow, x, y, size, flat, alpha) {
    context.globalCompositeOperation = "lighter";
    context.globalAlpha = Math.max(0, Math.min(1, alpha));
    context.drawImage(glow, x - size / 2, y - (size * flat) / 2, size, size * flat);
    context.globalAlpha = 1;
    context.globalCompositeOperation = "source-over";
  }

  pulse(firefly) {
    const age = Math.min(1, (this.now - firefly.born) / 900);
    firefly.shine = (firefly.shine ?? 0) + ((firefly.glow ?? 0.5) - (firefly.shine ?? 0)) * 0.06;
    const breath = this.calm.matches ? 0.85 : 0.72 + 0.28 * Math.sin(this.now / (420 + firefly.shine * 240) + firefly.id * 1.7);
    return age * (0.25 + 0.75 * firefly.shine) * breath;
  }

  drawFirefly(context, at, firefly, marked) {
    const glow = this.glows[firefly.kind] ?? this.glows[0];
    const shine = this.pulse(firefly);
    const size = (54 + 78 * (firefly.shine ?? 0.5)) * at.size * (firefly.kind === 2 ? 1.25 : 1);
    this.drawLight(context, glow, at.x, at.y, size, 1, 0.18 + shine);
    this.drawLight(context, glow, at.x, at.y, size * 0.36, 1, 0.55 + shine * 0.5);
    if (!marked) return;
    context.strokeStyle = `rgb(255 244 200 / ${0.5 + 0.3 * Math.sin(this.now / 160)})`;
    context.lineWidth = 1.4;
    context.beginPath();
    context.arc(at.x, at.y, 19 * at.size, 0, 7);
    context.stroke();
  }

  drawReach(context, me, target) {
    if (!me) return;
    const at = this.place(me.x, me.y);
    context.strokeStyle = `rgb(255 222 150 / ${target ? 0.34 : 0.13})`;
    context.lineWidth = 1.2;
    context.setLineDash([5, 8]);
    context.lineDashOffset = this.calm.matches ? 0 : -this.now / 90;
    context.beginPath();
    context.ellipse(at.x, at.y, (this.game.reach / this.game.width) * this.span, (this.game.reach / this.game.height) * this.deep, 0, 0, 7);
    context.stroke();
    context.setLineDash([]);
    if (!this.ripple) return;
    const age = (this.now - this.ripple.since) / 600;
    if (age > 1) return;
    const spot = this.place(this.ripple.x, this.ripple.y);
    context.strokeStyle = `rgb(255 236 190 / ${0.6 * (1 - age)})`;
    context.beginPath();
    context.ellipse(spot.x, spot.y, 22 * age * spot.size + 3, (22 * age * spot.size + 3) * 0.42, 0, 0, 7);
    context.stroke();
  }

  /** Show a catch. */
  burst(firefly, points, mine) {
    const at = this.hover(firefly, this.now ?? 0);
    const burst = new Burst(firefly, points, { mine, lift: at.ground - at.y, now: this.now ?? 0, calm: this.calm.matches });
    this.bursts.push(burst);
    if (this.bursts.length > 24) this.bursts.shift();
  }

  drawBursts(context) {
    this.bursts = this.bursts.filter((burst) => !burst.over(this.now));
    for (const burst of this.bursts) {
      const kind = burst.kind in COLOURS ? burst.kind : 0;
      burst.draw(context, this.place(burst.x, burst.y), this.now, COLOURS[kind], (...light) => this.drawLight(context, this.glows[kind], ...light));
    }
  }

  /** Before anybody has logged in there is no meadow yet: these fireflies are dreamt. */
  drawDreams(context) {
    const slow = this.calm.matches ? 0 : this.now / 9000;
    this.dreams.forEach((dream, n) => {
      const x = this.game.width * (0.5 + 0.5 * Math.sin(dream.phase + slow * (0.6 + dream.x) + dream.x * 6));
      const y = this.game.height * (0.5 + 0.5 * Math.sin(dream.phase * 1.7 + slow * (0.5 + dream.y) * 1.3));
      dream.id = n;
      dream.born ??= this.now - 900;
      Object.assign(dream, { glow: 0.5 + 0.5 * Math.sin(this.now / 2600 + dream.phase) });
      const at = this.hover({ id: n, x, y }, this.now);
      this.drawLight(context, this.pools[dream.kind], at.x, at.ground, 130 * at.size, 0.4, 0.3);
      this.drawFirefly(context, at, dream, false);
    });
  }

  drawFront(context) {
    this.grass.forEach((strip, layer) => {
      const tall = strip.height / this.ratio;
      const lean = this.calm.matches ? 0 : 0.05 * Math.sin(this.now / (1900 - layer * 300) + layer * 2) + 0.02 * Math.sin(this.now / 640 + layer);
      context.save();
      context.transform(1, 0, -lean, 1, -60 - this.shift * (1 + layer * 0.06) * 0.94, this.height - tall + 2 + (2 - layer) * -tall * 0.16);
      context.transform(1, 0, 0, 1, lean * tall, 0);
      context.drawImage(strip, 0, 0, this.span + 120, tall);
      context.restore();
    });
  }
}
