// Both halves come to life; `window.playground` lets a test play them.

async function start() {
  const points = new Player(new PointsHalf(), ["rate", "l1", "l2", "batch"]);
  const digits = new Player(new DigitsHalf(splitDigits(await readDigits())), ["rate", "l2", "batch"]);
  for (const player of [points, digits]) {
    player.reset();
    new ResizeObserver(() => player.half.draw(colours())).observe(byId(`${player.half.name}-curves`));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { points.show(); digits.show(); });
  window.playground = { points, digits };
}

start();
