// Two classes of points in the plane, in the window from -2 to 2.

const POINTS = {
  /** Around (±1, ±1); the class is whether the signs differ. */
  xor(random, label, noise) {
    const x = random.uniform() < 0.5 ? -1 : 1, y = label ? -x : x;
    return [x + noise * random.normal(), y + noise * random.normal()];
  },
  /** A disc in a ring. */
  rings(random, label, noise) {
    const angle = 2 * Math.PI * random.uniform(), radius = 0.4 + label + 0.5 * noise * random.normal();
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  },
  /** Two arms that turn around each other one and a half times. */
  spirals(random, label, noise) {
    const t = Math.sqrt(random.uniform()), angle = 3 * Math.PI * t + Math.PI * label, radius = 1.7 * t;
    return [radius * Math.cos(angle) + 0.2 * noise * random.normal(), radius * Math.sin(angle) + 0.2 * noise * random.normal()];
  },
  /** Two Gaussians. */
  blobs(random, label, noise) {
    const centre = label ? 0.8 : -0.8, deviation = 0.25 + noise;
    return [centre + deviation * random.normal(), centre + deviation * random.normal()];
  },
};

/** n points of that name, the classes in turn: {x: (n, 2), labels: (n)}. */
function drawPoints(name, n, noise, random) {
  const x = new Float64Array(2 * n), labels = [];
  for (let i = 0; i < n; i++) {
    labels.push(i % 2);
    x.set(POINTS[name](random, i % 2, noise), 2 * i);
  }
  return { x, labels };
}
