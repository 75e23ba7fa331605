// What this player knows of the meadow. The server tells changes ten times a second; between them everything glides.

const GLIDE = 130; // ms from one told place to the next: a little more than a tick, so that a late one does not stutter

class Body {
  constructor(view, now) {
    this.born = now;
    this.x = this.fromX = this.toX = view.x;
    this.y = this.fromY = this.toY = view.y;
    this.since = now;
    this.facing = 1;
    this.moving = false;
  }

  tell(view, now) {
    if (view.x === this.toX && view.y === this.toY) return;
    [this.fromX, this.fromY, this.toX, this.toY, this.since] = [this.x, this.y, view.x, view.y, now];
  }

  glide(now) {
    const part = Math.min(1, (now - this.since) / GLIDE);
    this.x = this.fromX + (this.toX - this.fromX) * part;
    this.y = this.fromY + (this.toY - this.fromY) * part;
    this.moving = part < 1 || now - this.since < GLIDE + 60;
    const dx = this.toX - this.fromX;
    if (this.moving && Math.abs(dx) > 0.5) this.facing = Math.sign(dx);
  }
}

export class Game {
  constructor() {
    this.width = 1600;
    this.height = 900;
    this.speed = 200;
    this.reach = 110;
    this.you = null;
    this.season = null;
    this.meadow = ""; // the name of the one that you are in
    this.meadows = []; // the names of all
    this.players = new Map();
    this.fireflies = new Map();
    this.ranking = [];
    this.gold = 0;
    this.goal = null; // where you walk to; you are drawn there at once, without waiting for the server
  }

  get me() {
    return this.players.get(this.you);
  }

  welcome(body, now) {
    const { you, meadow, meadows, width, height, speed, reach } = body;
    Object.assign(this, { you, meadow, meadows, width, height, speed, reach });
    this.season = body.world.season;
    this.goal = null;
    this.players.clear();
    this.fireflies.clear();
    this.ranking = body.ranking;
    this.gold = body.gold;
    this.world(body.world, now);
  }

  /** Take a change. False: this is another life of the world than the one we logged in to. */
  world(body, now) {
    if (body.season !== this.season) return false;
    for (const view of body.players) this.tell(this.players, view, now);
    for (const view of body.fireflies) this.tell(this.fireflies, view, now);
    if (body.full) {
      this.keep(this.players, body.players);
      this.keep(this.fireflies, body.fireflies);
    }
    return true;
  }

  tell(bodies, view, now) {
    const body = bodies.get(view.id) ?? new Body(view, now);
    body.tell(view, now);
    bodies.set(view.id, Object.assign(body, { id: view.id, name: view.name, kind: view.kind, glow: view.glow }));
  }

  keep(bodies, views) {
    const told = new Set(views.map((view) => view.id));
    for (const id of bodies.keys()) if (!told.has(id)) bodies.delete(id);
  }

  caught({ firefly, player, name, score, gold }) {
    if (player === this.you) this.gold = gold;
    const body = this.fireflies.get(firefly);
    this.fireflies.delete(firefly);
    const line = this.ranking.find((rank) => rank.name === name);
    if (line) line.score = score;
    else this.ranking.push({ name, score });
    this.ranking.sort((one, other) => other.score - one.score || one.name.localeCompare(other.name));
    this.ranking.length = Math.min(this.ranking.length, 10);
    return body;
  }

  left({ player }) {
    this.players.delete(player);
  }

  step(now, seconds) {
    for (const firefly of this.fireflies.values()) firefly.glide(now);
    for (const player of this.players.values()) if (player !== this.me || !this.goal) player.glide(now);
    if (this.me && this.goal) this.walk(this.me, now, seconds);
  }

  /** Walk ahead of the server's word, pulled softly towards it. */
  walk(me, now, seconds) {
    const dx = this.goal.x - me.x;
    const dy = this.goal.y - me.y;
    const distance = Math.hypot(dx, dy);
    const step = Math.min(distance, this.speed * seconds);
    if (distance > 0.01) {
      me.x += (dx / distance) * step;
      me.y += (dy / distance) * step;
    }
    const behind = Math.hypot(me.toX - me.x, me.toY - me.y);
    const pull = behind > 90 ? 6 * seconds : 0.4 * seconds;
    me.x += (me.toX - me.x) * pull;
    me.y += (me.toY - me.y) * pull;
    if (Math.abs(dx) > 2) me.facing = Math.sign(dx);
    me.moving = distance > 2;
    if (distance < 1 && behind < 4) {
      this.goal = null;
      [me.fromX, me.fromY, me.since] = [me.x, me.y, now];
    }
  }

  distance(body) {
    return this.me ? Math.hypot(body.x - this.me.x, body.y - this.me.y) : Infinity;
  }

  /** The player who stands nearest to you, if anybody else is here. */
  neighbour() {
    const others = [...this.players.values()].filter((player) => player !== this.me);
    return others.sort((one, other) => this.distance(one) - this.distance(other))[0] ?? null;
  }

  /** The nearest firefly to you, if one is within the net's reach. */
  nearest() {
    let best = null;
    for (const firefly of this.fireflies.values()) {
      if (this.distance(firefly) <= this.reach * 0.95 && (!best || this.distance(firefly) < this.distance(best))) best = firefly;
    }
    return best;
  }
}
