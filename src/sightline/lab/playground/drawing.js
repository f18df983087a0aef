// Canvases: colours of the page, surfaces, lines, points, curves.

/** The page's colours as [red, green, blue], read anew when light and dark change. */
function colours() {
  const style = getComputedStyle(document.documentElement), found = {};
  for (const name of ["paper", "panel", "ink", "soft", "rule", "one", "two"]) {
    const text = style.getPropertyValue(`--${name}`).trim();
    found[name] = [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  }
  return found;
}

const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

/** A canvas's context in CSS pixels, cleared; `height` follows from the width where it is a function. */
function prepared(canvas, height) {
  const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1, tall = typeof height === "function" ? height(width) : height;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(tall * ratio);
  canvas.style.height = `${tall}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "12px system-ui, sans-serif";
  return { context, width, height: tall };
}

/** A small canvas of side x side values in [-1, 1]: colour one below zero, two above, paper at zero. */
function surface(values, side, tones, columns = side) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = side;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, side);
  for (let i = 0; i < columns * side; i++) {
    const value = Math.max(-1, Math.min(1, values[i])), tone = value < 0 ? tones.one : tones.two, share = Math.abs(value);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = tones.paper[c] + share * (tone[c] - tones.paper[c]);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Values divided by the largest magnitude among them. */
function scaled(values) {
  let most = 1e-9;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return Float64Array.from(values, (value) => value / most);
}

/** A tick that reads well: 1, 2 or 5 times a power of ten, at most half of `most`. */
function tick(most) {
  const power = 10 ** Math.floor(Math.log10(most / 2));
  return [5, 2, 1].map((factor) => factor * power).find((value) => value <= most / 2) || power;
}

/** Heights of the two labels beside the ends of their curves: inside the chart, at least 13 pixels apart. */
function labelPlaces({ train, test }, top, bottom) {
  const [a, b] = [train, test].map((y) => (Number.isFinite(y) ? y : top)), apart = Math.max(13, Math.abs(a - b));
  const upper = Math.max(top, Math.min((a + b - apart) / 2, bottom - apart)), lower = Math.min(bottom, upper + apart);
  return a < b ? { train: upper, test: lower } : { train: lower, test: upper };
}

/** The curves of a training: loss over steps, of training and test. */
function drawCurves(canvas, training, tones) {
  const { context, width, height } = prepared(canvas, 150);
  const { curve, latest } = training, left = 38, right = width - 46, top = 10, bottom = height - 22;
  const points = [...curve, latest];
  const most = Math.max(0.05, ...points.flatMap((p) => [p.train, p.test]).filter(Number.isFinite).map((v) => Math.min(v, 5)));
  const x = (step) => left + ((right - left) * step) / Math.max(1, latest.step);
  const y = (loss) => bottom - ((bottom - top) * Math.min(loss, most)) / most;
  context.strokeStyle = css(tones.rule);
  context.fillStyle = css(tones.soft);
  context.lineWidth = 1;
  const unit = tick(most);
  for (let value = 0; value <= most; value += unit) {
    context.beginPath();
    context.moveTo(left, y(value));
    context.lineTo(right, y(value));
    context.stroke();
    context.textAlign = "right";
    context.fillText(String(Number(value.toPrecision(2))), left - 6, y(value) + 4);
  }
  context.textAlign = "left";
  context.fillText("0", left, height - 6);
  context.textAlign = "right";
  context.fillText(`step ${latest.step.toLocaleString("en")}`, right, height - 6);
  const ends = labelPlaces({ train: y(latest.train), test: y(latest.test) }, top, bottom);
  for (const name of ["test", "train"]) {
    const tone = name === "train" ? tones.one : tones.two;
    context.strokeStyle = context.fillStyle = css(tone);
    context.lineWidth = 1.8;
    context.setLineDash(name === "test" ? [5, 3] : []);
    context.beginPath();
    points.forEach((p, i) => context[i ? "lineTo" : "moveTo"](x(p.step), Number.isFinite(p[name]) ? y(p[name]) : top));
    context.stroke();
    context.textAlign = "left";
    context.fillText(name, right + 6, ends[name] + 4);
  }
  context.setLineDash([]);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** The sentence of a training's figures. */
function figuresText({ step, train, test, trainAccuracy, testAccuracy }) {
  if (!Number.isFinite(train)) return `Step ${step}: the loss is not finite any more. Reset, and take a smaller learning rate.`;
  return `Step ${step.toLocaleString("en")}: loss ${train.toFixed(3)} in training, ${test.toFixed(3)} in test; accuracy ` +
    `${percent(trainAccuracy)} and ${percent(testAccuracy)}.`;
}
