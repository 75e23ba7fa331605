// Draws one lantern-bearer: a hooded figure with a staff, a lantern that swings, a name, and what he says.

const FONT = 'ui-rounded, "Segoe UI", system-ui, sans-serif';

const HUES = [348, 12, 28, 195, 215, 240, 268, 290, 322]; // cloth that shows well on a green meadow

/** The hue of a hero's cloak, from his id: the same on every screen. */
export function hueOf(id) {
  let sum = 2166136261;
  for (const letter of String(id)) sum = Math.imul(sum ^ letter.codePointAt(0), 16777619) >>> 0;
  return HUES[((sum ^ (sum >>> 15)) >>> 0) % HUES.length];
}

export function drawBearer(context, at, player, now, { mine, lamp, calm }) {
  const hue = hueOf(player.id);
  const stride = player.moving && !calm ? Math.sin(now / 105 + hue) : 0;
  const bob = player.moving && !calm ? Math.abs(Math.cos(now / 105 + hue)) * 1.8 : calm ? 0 : Math.sin(now / 900 + hue) * 0.5;
  context.save();
  context.translate(at.x, at.y);
  context.scale(at.size * player.facing, at.size);
  drawShadow(context);
  drawLegs(context, stride);
  context.translate(0, -bob);
  drawCloak(context, hue, stride, mine);
  drawStaff(context, stride, now, calm, lamp);
  context.restore();
}

function drawShadow(context) {
  context.fillStyle = "rgb(0 4 8 / .5)";
  context.beginPath();
  context.ellipse(-2, 0, 15, 4.6, 0, 0, 7);
  context.fill();
}

function drawLegs(context, stride) {
  context.strokeStyle = "#0a0f1c";
  context.lineWidth = 4;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(-3, -9);
  context.lineTo(-3 + stride * 5, -1 - Math.max(0, stride) * 2);
  context.moveTo(3, -9);
  context.lineTo(3 - stride * 5, -1 - Math.max(0, -stride) * 2);
  context.stroke();
}

function drawCloak(context, hue, stride, mine) {
  const cloth = context.createLinearGradient(-14, 0, 14, 0);
  cloth.addColorStop(0, `hsl(${hue} 38% 11%)`);
  cloth.addColorStop(0.55, `hsl(${hue} 42% ${mine ? 27 : 22}%)`);
  cloth.addColorStop(1, `hsl(${(hue + 20) % 360} 55% ${mine ? 50 : 42}%)`);
  context.fillStyle = cloth;
  context.beginPath();
  context.moveTo(0, -46);
  context.bezierCurveTo(9, -44, 10, -30, 13, -7 + stride);
  context.quadraticCurveTo(2, -3, -14 - stride * 1.5, -6);
  context.bezierCurveTo(-11, -28, -10, -43, 0, -46);
  context.fill();
  context.beginPath(); // the hood
  context.moveTo(-9, -38);
  context.bezierCurveTo(-12, -52, -4, -58, 2, -57);
  context.bezierCurveTo(9, -56, 11, -47, 8, -39);
  context.quadraticCurveTo(0, -34, -9, -38);
  context.fill();
  context.fillStyle = "#1a1018"; // the shade under the hood
  context.beginPath();
  context.ellipse(3.4, -46, 5.4, 6.6, 0.08, 0, 7);
  context.fill();
  const face = context.createLinearGradient(-1, 0, 9, 0);
  face.addColorStop(0, "#a8714f");
  face.addColorStop(1, "#ffdca8");
  context.fillStyle = face;
  context.beginPath();
  context.ellipse(4.4, -45.4, 4, 5, 0.08, 0, 7);
  context.fill();
  context.fillStyle = "#2a1a1c";
  for (const x of [3.6, 6.6]) {
    context.beginPath();
    context.ellipse(x, -46, 0.65, 0.95, 0, 0, 7);
    context.fill();
  }
}

function drawStaff(context, stride, now, calm, lamp) {
  const swing = calm ? 0 : Math.sin(now / 480) * 0.08 + stride * 0.14;
  context.strokeStyle = "#5b4128";
  context.lineWidth = 2.2;
  context.beginPath();
  context.moveTo(9, -13);
  context.quadraticCurveTo(13, -44, 17, -62);
  context.quadraticCurveTo(19, -67, 25, -64);
  context.stroke();
  context.strokeStyle = "#e8bf8d";
  context.lineWidth = 3.4;
  context.beginPath();
  context.moveTo(6, -29);
  context.lineTo(12, -33);
  context.stroke();
  context.save();
  context.translate(25, -64);
  context.rotate(swing);
  context.strokeStyle = "#4a3a28";
  context.lineWidth = 1.2;
  context.strokeRect(-0.5, 0, 1, 5);
  context.globalCompositeOperation = "lighter";
  context.globalAlpha = 0.95;
  context.drawImage(lamp, -80, -69, 160, 160);
  context.globalAlpha = 1;
  context.globalCompositeOperation = "source-over";
  context.fillStyle = "#ffe9ae";
  context.beginPath();
  context.roundRect(-4, 6, 8, 10, 2.5);
  context.fill();
  context.fillStyle = "#4a3a28";
  context.fillRect(-5, 4.5, 10, 2);
  context.fillRect(-5, 15.5, 10, 2);
  context.restore();
}

export function drawName(context, at, name, mine) {
  context.font = `${mine ? 600 : 500} ${Math.round(11 + 3 * at.size)}px ${FONT}`;
  context.textAlign = "center";
  context.lineWidth = 3.5;
  context.lineJoin = "round";
  context.strokeStyle = "rgb(3 8 22 / .7)";
  context.strokeText(name, at.x, at.y + 18 * at.size);
  context.fillStyle = mine ? "#ffdf8e" : "#e3ebff";
  context.fillText(name, at.x, at.y + 18 * at.size);
}

/** Draw what a player says above his head; false: it has been there long enough. */
export function drawBubble(context, at, { text, since }, now, width) {
  const age = now - since;
  const stay = 3500 + text.length * 45;
  if (age > stay) return false;
  context.font = `14px ${FONT}`;
  const lines = wrap(context, text, 190);
  const wide = Math.max(...lines.map((line) => context.measureText(line).width)) + 24;
  const tall = lines.length * 19 + 12;
  const x = Math.max(6, Math.min(width - wide - 6, at.x - wide / 2));
  const y = at.y - 84 * at.size - tall;
  context.globalAlpha = Math.min(1, age / 160, (stay - age) / 400);
  context.fillStyle = "rgb(240 245 255 / .93)";
  context.beginPath();
  context.roundRect(x, y, wide, tall, 12);
  context.moveTo(at.x - 6, y + tall);
  context.lineTo(at.x + 6, y + tall);
  context.lineTo(at.x, y + tall + 8);
  context.fill();
  context.fillStyle = "#10193a";
  context.textAlign = "left";
  lines.forEach((line, n) => context.fillText(line, x + 12, y + 20 + n * 19));
  context.globalAlpha = 1;
  return true;
}

function wrap(context, text, limit) {
  const lines = [""];
  for (const word of text.slice(0, 120).split(" ")) {
    const last = lines.at(-1);
    const longer = last ? `${last} ${word}` : word;
    if (!last || context.measureText(longer).width <= limit) lines[lines.length - 1] = longer;
    else if (lines.length < 4) lines.push(word);
    else break;
  }
  return lines.map((line) => (line.length > 32 ? `${line.slice(0, 31)}…` : line));
}
