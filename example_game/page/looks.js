// How each meadow looks: the colours of its evening, where its moon stands, how dense its woods are.

// Hills from the farthest: foot and rise in parts of the sky's height, how jagged, colours at top and foot, trees.
const MEADOW = {
  title: "The meadow",
  seed: 0,
  moon: 0.7,
  sky: [[0, "#050919"], [0.26, "#0a163a"], [0.48, "#153467"], [0.63, "#2a5e88"], [0.75, "#559097"], [0.86, "#9bbf9f"], [1, "#d9cf9a"]],
  hills: [
    { foot: 0.99, rise: 0.34, rough: 0.5, top: "#3a6684", mist: "#6f9fa6", trees: 0 },
    { foot: 1, rise: 0.21, rough: 0.3, top: "#234c69", mist: "#4a818d", trees: 0 },
    { foot: 1.005, rise: 0.13, rough: 0.12, top: "#14364b", mist: "#2c5f68", trees: 0.75 },
    { foot: 1.01, rise: 0.065, rough: 0.1, top: "#0a222f", mist: "#2b6462", trees: 1.2 },
  ],
  ground: [[0, "#2b6462"], [0.08, "#205350"], [0.24, "#174340"], [0.55, "#10302c"], [1, "#081b16"]],
  patch: "rgb(70 140 110 / .13)",
  mist: "176 220 222",
  blades: [26, 82, 74],
  flowers: ["226 232 255", "176 196 255", "255 206 230", "255 236 176"],
  grass: [
    { tips: ["#2b6a57", "#1f5748"], root: "#0a241e" },
    { tips: ["#1c4d3e", "#153f34"], root: "#06171a" },
    { tips: ["#0f2f29", "#0b2521"], root: "#030d0d" },
  ],
};

const GROVE = {
  title: "The grove",
  seed: 4000,
  moon: 0.26,
  sky: [[0, "#0a0618"], [0.26, "#1a1038"], [0.48, "#382058"], [0.63, "#63376f"], [0.76, "#9a5478"], [0.88, "#d08578"], [1, "#efbc86"]],
  hills: [
    { foot: 0.99, rise: 0.28, rough: 0.6, top: "#5b4678", mist: "#a3738c", trees: 0 },
    { foot: 1, rise: 0.24, rough: 0.35, top: "#402f5d", mist: "#76537a", trees: 0.9 },
    { foot: 1.005, rise: 0.17, rough: 0.2, top: "#281f42", mist: "#4d3c60", trees: 2.1 },
    { foot: 1.012, rise: 0.09, rough: 0.12, top: "#140f26", mist: "#3a3554", trees: 3.4 },
  ],
  ground: [[0, "#3a3554"], [0.08, "#2c2c48"], [0.24, "#1f273a"], [0.55, "#14202b"], [1, "#0a1318"]],
  patch: "rgb(120 100 150 / .14)",
  mist: "226 206 224",
  blades: [50, 66, 92],
  flowers: ["255 214 170", "255 180 190", "214 196 255", "240 240 255"],
  grass: [
    { tips: ["#3f5268", "#334459"], root: "#141c28" },
    { tips: ["#2b3a4d", "#212f40"], root: "#0c131c" },
    { tips: ["#17222f", "#111a25"], root: "#060a10" },
  ],
};

const LOOKS = new Map([["meadow", MEADOW], ["grove", GROVE]]);

/** Give the look of the meadow of that name. */
export function lookOf(name) {
  return LOOKS.get(name) ?? { ...MEADOW, title: name };
}
