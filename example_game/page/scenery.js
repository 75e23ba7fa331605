// What does not change while nobody resizes the window: sky, moon, hills, ground and grass, each painted once, in the
// look of the meadow that it is (looks.js).

/** A small repeatable chance, so that the meadow looks the same on every screen and after every resize. */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Give a canvas of that size in CSS pixels, painted by `paint(context)`. */
export function painted(width, height, ratio, paint) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.ceil(width * ratio));
  canvas.height = Math.max(1, Math.ceil(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  paint(context);
  return canvas;
}

function gradient(context, x0, y0, x1, y1, stops) {
  const colours = context.createLinearGradient(x0, y0, x1, y1);
  for (const [at, colour] of stops) colours.addColorStop(at, colour);
  return colours;
}

/** Give a soft round light: white in the middle (if it has a core), then the colour, then nothing. */
export function light(size, [red, green, blue], core = 0.07) {
  return painted(size, size, 1, (context) => {
    const half = size / 2;
    const colours = context.createRadialGradient(half, half, 0, half, half, half);
    const at = (alpha) => `rgb(${red} ${green} ${blue} / ${alpha})`;
    if (core) {
      colours.addColorStop(0, "rgb(255 255 246 / 1)");
      colours.addColorStop(core * 0.55, "rgb(255 252 228 / .9)");
      colours.addColorStop(core, at(0.72));
      colours.addColorStop(core + 0.07, at(0.38));
    } else colours.addColorStop(0, at(0.4));
    colours.addColorStop(0.28, at(0.2));
    colours.addColorStop(0.55, at(0.075));
    colours.addColorStop(0.8, at(0.02));
    colours.addColorStop(1, at(0));
    context.fillStyle = colours;
    context.fillRect(0, 0, size, size);
  });
}

export function paintSky(context, width, height, horizon, look) {
  const random = chance(11 + look.seed);
  context.fillStyle = gradient(context, 0, 0, 0, horizon, look.sky);
  context.fillRect(0, 0, width, height);
  paintMilkyWay(context, width, horizon, random);
  for (let n = (width * horizon) / 700; n > 0; n--) {
    const y = random() ** 1.3 * horizon * 0.95;
    const bright = 0.2 + 0.8 * random() ** 2.5;
    context.fillStyle = `rgb(${205 + random() * 50} ${218 + random() * 37} 255 / ${bright * Math.max(0, 1 - y / horizon)})`;
    context.beginPath();
    context.arc(random() * width, y, 0.4 + random() ** 5 * 1.2, 0, 7);
    context.fill();
  }
  const wide = width > 700;
  paintMoon(context, width * (wide ? look.moon : 0.34), horizon * (wide ? 0.36 : 0.5), Math.max(22, Math.min(44, width * 0.03)));
}

function paintMilkyWay(context, width, horizon, random) {
  context.save();
  context.translate(width * 0.3, horizon * 0.34);
  context.rotate(-0.42);
  for (let n = 0; n < 90; n++) {
    const x = (random() - 0.5) * width * 1.3;
    const y = (random() + random() + random() - 1.5) * horizon * 0.28;
    const size = horizon * (0.08 + random() * 0.2);
    const cloud = context.createRadialGradient(x, y, 0, x, y, size);
    cloud.addColorStop(0, `rgb(${150 + random() * 60} ${155 + random() * 50} 240 / .042)`);
    cloud.addColorStop(1, "rgb(160 170 240 / 0)");
    context.fillStyle = cloud;
    context.fillRect(x - size, y - size, 2 * size, 2 * size);
  }
  context.restore();
}

function paintMoon(context, x, y, radius) {
  for (const [size, alpha] of [[9, 0.16], [4.5, 0.16], [2.1, 0.24]]) {
    const halo = context.createRadialGradient(x, y, radius * 0.6, x, y, radius * size);
    halo.addColorStop(0, `rgb(214 226 255 / ${alpha})`);
    halo.addColorStop(1, "rgb(190 210 255 / 0)");
    context.fillStyle = halo;
    context.fillRect(x - radius * size, y - radius * size, 2 * radius * size, 2 * radius * size);
  }
  const face = context.createRadialGradient(x - radius * 0.35, y - radius * 0.35, radius * 0.1, x, y, radius);
  face.addColorStop(0, "#fffdf2");
  face.addColorStop(0.75, "#f1ecd8");
  face.addColorStop(1, "#cfd3d8");
  context.fillStyle = face;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
  context.save();
  context.clip();
  for (const [dx, dy, size] of [[-0.3, -0.2, 0.26], [0.28, 0.12, 0.34], [-0.15, 0.42, 0.2], [0.38, -0.42, 0.16], [-0.55, 0.2, 0.14]]) {
    context.fillStyle = "rgb(120 130 150 / .16)";
    context.beginPath();
    context.arc(x + dx * radius, y + dy * radius, size * radius, 0, 7);
    context.fill();
  }
  context.restore();
}

/** Paint one range of hills with its trees and the mist at its foot; the first is the farthest. */
export function paintHills(context, width, horizon, look, number) {
  const { foot, rise, rough, top: colour, mist, trees } = look.hills[number];
  const random = chance(100 + look.seed + number * 50);
  const waves = [1, 2.3, 5.1, 11.7, 23].map((often, n) => ({ often, high: rough ** n, phase: random() * 7 }));
  const sum = waves.reduce((total, wave) => total + wave.high, 0);
  const top = (x) => {
    const swell = waves.reduce((total, { often, high, phase }) => total + high * Math.sin((x / 380) * often * 0.8 + phase), 0) / sum;
    return horizon * (foot - rise * (0.6 + 0.4 * swell));
  };
  context.fillStyle = gradient(context, 0, horizon * (foot - rise), 0, horizon, [[0, colour], [0.45, colour], [1, mist]]);
  context.beginPath();
  context.moveTo(0, horizon + 40);
  for (let x = 0; x <= width + 4; x += 4) context.lineTo(x, top(x));
  context.lineTo(width, horizon + 40);
  context.fill();
  if (!trees) return;
  for (let x = random() * 20; x < width; x += (5 + random() * 20) / trees) {
    const wood = Math.sin(x / 170 + number * 2) + Math.sin(x / 61 + number);
    if (wood + random() * 1.6 > 0.5) paintPine(context, x, top(x) + 3, (9 + random() * 17) * trees * Math.min(1.5, Math.max(0.8, horizon / 260)), colour);
  }
}

function paintPine(context, x, y, height, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x, y - height);
  for (let step = 1; step <= 5; step++) {
    const reach = (height * 0.24 * step) / 5 + 1;
    context.lineTo(x + reach, y - height + (height * step) / 5.2);
    context.lineTo(x + reach * 0.55, y - height + (height * step) / 5.2 - height * 0.03);
  }
  context.lineTo(x, y);
  for (let step = 5; step >= 1; step--) {
    const reach = (height * 0.24 * step) / 5 + 1;
    context.lineTo(x - reach * 0.55, y - height + (height * step) / 5.2 - height * 0.03);
    context.lineTo(x - reach, y - height + (height * step) / 5.2);
  }
  context.fill();
}

export function paintGround(context, width, height, horizon, look) {
  const random = chance(5 + look.seed);
  context.fillStyle = gradient(context, 0, horizon, 0, height, look.ground);
  context.fillRect(0, horizon, width, height - horizon);
  for (let n = 0; n < 26; n++) {
    const y = horizon + random() ** 1.4 * (height - horizon);
    const near = (y - horizon) / (height - horizon);
    const long = 90 + random() * 260 * (0.4 + near);
    context.save();
    context.translate(random() * width, y);
    context.scale(1, 0.2);
    const patch = context.createRadialGradient(0, 0, 0, 0, 0, long);
    patch.addColorStop(0, n % 2 ? look.patch : "rgb(2 10 14 / .3)");
    patch.addColorStop(1, "rgb(0 0 0 / 0)");
    context.fillStyle = patch;
    context.fillRect(-long, -long, 2 * long, 2 * long);
    context.restore();
  }
  const rows = 46;
  for (let row = 0; row < rows; row++) {
    const near = (row / rows) ** 1.35;
    const y = horizon + 5 + near * (height - horizon);
    const tall = 3 + near * 15;
    for (let x = random() * 12; x < width; x += (5 + random() * 13) * (0.6 + near * 1.5)) {
      const green = random();
      const [red, grass, blue] = look.blades;
      context.strokeStyle = `rgb(${red - near * 16 + green * 26} ${grass - near * 40 + green * 44} ${blue - near * 42 + green * 26} / ${0.3 + 0.35 * random()})`;
      context.lineWidth = 0.6 + near * 0.9;
      for (let blade = 0; blade < 3; blade++) {
        const lean = (random() - 0.5) * tall * 0.9;
        context.beginPath();
        context.moveTo(x + blade * 1.6, y);
        context.quadraticCurveTo(x + blade * 1.6 + lean * 0.2, y - tall * 0.6, x + blade * 1.6 + lean, y - tall * (0.6 + random() * 0.5));
        context.stroke();
      }
    }
    if (row > 4) paintFlowers(context, width, y, near, look.flowers, random);
  }
}

function paintFlowers(context, width, y, near, colours, random) {
  for (let n = (width / 320) * random() * 2; n > 0; n--) {
    const x = random() * width;
    const size = 0.5 + near * 1.3;
    const high = y - (4 + 10 * near) * (0.6 + random() * 0.5);
    context.strokeStyle = "rgb(70 120 96 / .5)";
    context.lineWidth = 0.6 + near * 0.5;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + size, high);
    context.stroke();
    context.fillStyle = `rgb(${colours[Math.floor(random() * 4)]} / ${0.25 + random() * 0.3})`;
    for (let petal = 0; petal < 5; petal++) {
      context.beginPath();
      context.ellipse(x + size + Math.cos(petal * 1.257) * size, high + Math.sin(petal * 1.257) * size * 0.75, size * 0.62, size * 0.5, 0, 0, 7);
      context.fill();
    }
  }
}

/** Paint a row of tall grass that stands on the lower rim; the scene lets it sway. */
export function paintGrass(context, width, height, look, layer) {
  const random = chance(900 + look.seed + layer * 17);
  const { tips, root } = look.grass[layer];
  for (let x = -20; x < width + 20; x += 2 + random() * 4) {
    const swell = 0.62 + 0.22 * Math.sin(x / 130 + layer * 2) + 0.16 * Math.sin(x / 47 + layer);
    const tall = height * swell * (0.35 + random() * 0.6);
    const lean = (random() - 0.5) * tall * 0.6;
    const wide = 1.2 + random() * 2.2;
    const tip = tips[random() > 0.5 ? 1 : 0];
    context.fillStyle = gradient(context, 0, height - tall, 0, height, [[0, tip], [0.75, root]]);
    context.beginPath();
    context.moveTo(x - wide, height);
    context.quadraticCurveTo(x - wide * 0.4 + lean * 0.15, height - tall * 0.55, x + lean, height - tall);
    context.quadraticCurveTo(x + wide * 0.8 + lean * 0.25, height - tall * 0.5, x + wide, height);
    context.fill();
    if (random() > 0.95) paintEar(context, x + lean, height - tall, lean / tall, tip, random() * 4 + 6);
  }
}

function paintEar(context, x, y, slope, colour, long) {
  context.save();
  context.translate(x, y);
  context.rotate(slope * 0.9);
  context.fillStyle = colour;
  context.beginPath();
  context.ellipse(0, 0, 2, long, 0, 0, 7);
  context.fill();
  context.restore();
}
