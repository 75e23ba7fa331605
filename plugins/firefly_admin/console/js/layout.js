// Where each server stands in the picture: players, gates, the servers behind them, storage.

export const CARD = { width: 208, height: 104 };
const GAP = { x: 92, y: 22 };
const NARROW = { width: 164, height: 96, x: 14, y: 54 };

const has = (server, what) => server.about?.services?.includes(what);

/** Which column a server belongs to; one that is down keeps the place that its name had before. */
function columnOf(server, remembered) {
  let column = null;
  if (server.about) {
    if (has(server, "gate")) column = 1;
    else if (has(server, "db-cache") && !has(server, "node")) column = 3;
    else column = 2;
    remembered.set(server.name, column);
  }
  return column ?? remembered.get(server.name) ?? guess(server.name);
}

function guess(name) {
  if (/gate|front|lobby/.test(name)) return 1;
  return /^db|cache|store/.test(name) ? 3 : 2;
}

/** Give `{ width, height, card, places: Map name -> { x, y } }` for a picture of at most `width` pixels. */
export function layout(servers, width, remembered) {
  const columns = new Map([[0, ["players"]]]);
  for (const server of servers) {
    const column = columnOf(server, remembered);
    if (!columns.has(column)) columns.set(column, []);
    columns.get(column).push(server.name);
  }
  const order = [...columns.keys()].sort((a, b) => a - b).map((key) => columns.get(key));
  const wide = order.length * CARD.width + (order.length - 1) * 44;
  return width >= wide ? across(order, width) : down(order, width);
}

function across(order, width) {
  const gap = Math.min(GAP.x * 1.6, (width - order.length * CARD.width) / Math.max(1, order.length - 1));
  const used = order.length * CARD.width + (order.length - 1) * gap;
  const most = Math.max(...order.map((names) => names.length));
  const height = most * CARD.height + (most - 1) * GAP.y + 24;
  const places = new Map();
  order.forEach((names, column) => {
    const tall = names.length * CARD.height + (names.length - 1) * GAP.y;
    names.forEach((name, row) => places.set(name, {
      x: (width - used) / 2 + column * (CARD.width + gap),
      y: (height - tall) / 2 + row * (CARD.height + GAP.y),
    }));
  });
  return { width, height, card: CARD, places, flow: "across" };
}

function down(order, width) {
  const fit = Math.max(1, Math.floor((width + NARROW.x) / (NARROW.width + NARROW.x)));
  const places = new Map();
  let y = 8;
  for (const names of order) {
    for (let begin = 0; begin < names.length; begin += fit) {
      const row = names.slice(begin, begin + fit);
      const used = row.length * NARROW.width + (row.length - 1) * NARROW.x;
      row.forEach((name, at) => places.set(name, { x: (width - used) / 2 + at * (NARROW.width + NARROW.x), y }));
      y += NARROW.height + (begin + fit < names.length ? 12 : NARROW.y);
    }
  }
  return { width, height: y - NARROW.y + 16, card: NARROW, places, flow: "down" };
}

/** Give the curve between two cards, and its middle. */
export function curve(picture, one, other) {
  const { card, places, flow } = picture;
  let [a, b] = [places.get(one), places.get(other)];
  if (!a || !b) return null;
  if (flow === "across" ? a.x > b.x : a.y > b.y) [a, b] = [b, a];
  const half = { x: card.width / 2, y: card.height / 2 };
  if (flow === "across" && a.x !== b.x) {
    const from = [a.x + card.width, a.y + half.y], to = [b.x, b.y + half.y];
    const bend = Math.max(26, (to[0] - from[0]) / 2);
    // One that passes over a column in between goes around below its cards.
    const over = to[0] - from[0] > card.width;
    const lift = over ? Math.max(0, picture.height / 2 - 14) : 0;
    return {
      d: `M${from} C${from[0] + bend},${from[1] + lift} ${to[0] - bend},${to[1] + lift} ${to}`,
      middle: [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2 + lift * 0.75],
    };
  }
  if (flow === "across") {
    [a, b] = a.y > b.y ? [b, a] : [a, b];
    if (b.y - a.y < card.height + 2 * GAP.y) return { d: `M${a.x + half.x},${a.y + card.height} V${b.y}`, middle: null };
    return { d: `M${a.x},${a.y + half.y} C${a.x - 44},${a.y + half.y} ${b.x - 44},${b.y + half.y} ${b.x},${b.y + half.y}`, middle: null };
  }
  const from = [a.x + half.x, a.y + card.height], to = [b.x + half.x, b.y];
  if (a.y === b.y) {
    const low = a.y + card.height;
    return { d: `M${from} C${from[0]},${low + 40} ${to[0]},${low + 40} ${to[0]},${low}`, middle: [(from[0] + to[0]) / 2, low + 30] };
  }
  const bend = Math.max(20, (to[1] - from[1]) / 2);
  return {
    d: `M${from} C${from[0]},${from[1] + bend} ${to[0]},${to[1] - bend} ${to}`,
    middle: [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2],
  };
}
