// The half of the page about digits: filters, activations, confusions, losses, and a digit of one's own.

const TRAINED = 1297;  // of 1,797; the others test

/** The digits from the page: pixels from 0 to 16 and a label a row, packed. */
async function readDigits() {
  const packed = Uint8Array.from(atob(byId("digits-data").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Rows of 65 bytes → {train, test, mean, deviation}; pixels with mean 0 and deviation 1 over the training digits. */
function splitDigits(bytes) {
  const n = bytes.length / 65, x = new Float64Array(n * 64), labels = [];
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 64; k++) x[i * 64 + k] = bytes[i * 65 + k];
    labels.push(bytes[i * 65 + 64]);
  }
  const seen = x.subarray(0, TRAINED * 64), mean = seen.reduce((sum, v) => sum + v, 0) / seen.length;
  const deviation = Math.sqrt(seen.reduce((sum, v) => sum + (v - mean) ** 2, 0) / seen.length);
  for (let i = 0; i < x.length; i++) x[i] = (x[i] - mean) / deviation;
  const part = (from, to) => ({ x: x.subarray(from * 64, to * 64), labels: labels.slice(from, to) });
  return { train: part(0, TRAINED), test: part(TRAINED, n), mean, deviation };
}

class DigitsHalf {
  constructor(digits) {
    Object.assign(this, { name: "digits", digits, drawn: false });
    this.pad = new Pad(byId("digits-pad"), () => { this.drawn = this.pad.ink.includes(1); this.drawShown(colours()); });
    byId("digits-clear").addEventListener("click", () => this.pad.clear());
    byId("digits-mistake").addEventListener("click", () => this.showMistake());
    byId("digits-shown").addEventListener("input", () => { this.drawn = false; this.drawShown(colours()); });
    const head = byId("digits-confusion").querySelector("thead tr"), body = byId("digits-confusion").querySelector("tbody");
    const cell = (row, kind, text) => Object.assign(row.appendChild(document.createElement(kind)), { textContent: text });
    for (let c = 0; c < 10; c++) {
      cell(head, "th", String(c)).scope = "col";
      const row = body.appendChild(document.createElement("tr"));
      cell(row, "th", String(c)).scope = "row";
      for (let k = 0; k < 10; k++) cell(row, "td", "");
    }
  }

  reset() {
    const random = new Random(wholeOf("digits-seed")), options = { l1: 0 };
    for (const key of ["optimizer", "rate", "l2", "batch"]) options[key] = valueOf(`digits-${key}`);
    const network = digitNetwork(valueOf("digits-network"), valueOf("digits-width"), valueOf("digits-activation"), random);
    this.training = new Training(network, this.digits.train, this.digits.test, 10, options, random);
  }

  /** The most likely class of each test digit, by the last measurement. */
  answers() {
    const p = this.training.latest.testProbability, best = (row) => row.indexOf(Math.max(...row));
    return this.digits.test.labels.map((_, i) => best(p.subarray(10 * i, 10 * i + 10)));
  }

  /** The next test digit behind the one shown that the network gets wrong. */
  showMistake() {
    const found = this.answers(), { labels } = this.digits.test, now = wholeOf("digits-shown");
    const after = labels.map((_, i) => (now + 1 + i) % labels.length).find((i) => found[i] !== labels[i]);
    if (after === undefined) byId("digits-spoken").textContent = "No test digit is wrong.";
    else byId("digits-shown").value = String(after);
    this.drawn = false;
    this.drawShown(colours());
  }

  /** The 64 inputs of the network for what is shown. */
  shown() {
    const { mean, deviation, test } = this.digits, which = wholeOf("digits-shown");
    if (this.drawn) return pixelsOf(this.pad.ink).map((value) => (value - mean) / deviation);
    return test.x.subarray(64 * which, 64 * which + 64);
  }

  draw(tones) {
    drawCurves(byId("digits-curves"), this.training, tones);
    byId("digits-figures").textContent = figuresText(this.training.latest);
    this.drawFilters(tones);
    this.drawConfusion();
    this.drawShown(tones);
  }

  /** Weights of the first layer as small pictures. */
  drawFilters(tones) {
    const first = this.training.network.layers[0], side = first instanceof Dense ? 8 : first.size, area = side * side;
    const count = first.weight.value.length / area, most = scaled(first.weight.value);
    const tiles = Array.from({ length: count }, (_, f) => ({ values: most.subarray(f * area, (f + 1) * area), side }));
    const canvas = byId("digits-filters");
    tileRows(canvas, [{ tiles, size: side === 8 ? 48 : 40 }], tones);
    canvas.setAttribute("aria-label", `${count} filters of the first layer, ${side} by ${side} weights`);
  }

  drawConfusion() {
    const counts = Array.from({ length: 10 }, () => new Array(10).fill(0)), found = this.answers();
    this.digits.test.labels.forEach((label, i) => { counts[label][found[i]]++; });
    byId("digits-confusion").querySelectorAll("tbody tr").forEach((row, label) => {
      const total = counts[label].reduce((sum, n) => sum + n, 0);
      row.querySelectorAll("td").forEach((cell, answer) => {
        cell.textContent = counts[label][answer] || "";
        cell.className = answer === label ? "right" : "wrong";
        cell.style.setProperty("--share", `${Math.round(Math.min(45, (50 * counts[label][answer]) / total))}%`);
      });
    });
  }

  /** The chosen or drawn digit, what each layer makes of it, and the probabilities. */
  drawShown(tones) {
    const { network } = this.training, x = this.shown(), scores = network.forward(x, 1);
    const p = crossEntropy(scores, [0], 10).probability, rows = [{ label: "input", size: 64, tiles: [{ values: scaled(x), side: 8 }] }];
    network.layers.forEach((layer, i) => {
      if (!(layer instanceof Activation)) return;
      const values = scaled(network.outputs[i]), before = network.layers[i - 1];
      if (before instanceof Dense) rows.push({ label: "hidden units", size: 22, tiles: Array.from(values, (v) => ({ values: [v], side: 1 })) });
      else {
        const area = before.side ** 2, tiles = Array.from({ length: before.filters }, (_, f) => ({ values: values.subarray(f * area, (f + 1) * area), side: before.side }));
        rows.push({ label: `${before.filters} maps of ${before.side} x ${before.side}`, size: before.side === 8 ? 48 : 32, tiles });
      }
    });
    tileRows(byId("digits-maps"), rows, tones);
    const best = p.indexOf(Math.max(...p)), truth = this.drawn ? null : this.digits.test.labels[wholeOf("digits-shown")];
    const sentence = `${this.drawn ? "Your digit" : `Test digit ${wholeOf("digits-shown")}, a ${truth}`}: the network says ${best} with ${percent(p[best])}.`;
    byId("digits-answer").textContent = sentence;
    byId("digits-maps").setAttribute("aria-label", `Input and activations. ${sentence}`);
    byId("digits-probabilities").querySelectorAll("meter").forEach((meter, c) => { meter.value = p[c]; });
    this.pad.draw(tones);
  }
}

/** Rows of tiles that wrap at the canvas's width, each with a label above. */
function tileRows(canvas, rows, tones) {
  const wide = canvas.clientWidth, placed = [];
  let y = 0;
  for (const { label, size, tiles } of rows) {
    if (label) placed.push({ text: label, y: (y += 14) });
    if (label) y += 5;
    const columns = Math.max(1, Math.floor((wide + 5) / (size + 5)));
    tiles.forEach((tile, i) => placed.push({ tile, size, x: (i % columns) * (size + 5), y: y + Math.floor(i / columns) * (size + 5) }));
    y += Math.ceil(tiles.length / columns) * (size + 5) + 4;
  }
  const { context } = prepared(canvas, y);
  context.imageSmoothingEnabled = false;
  for (const { text, tile, size, x, y: top } of placed) {
    context.fillStyle = css(tones.soft);
    if (text) context.fillText(text, 0, top);
    else {
      context.drawImage(surface(tile.values, tile.side, tones), x, top, size, size);
      context.strokeStyle = css(tones.rule);
      context.strokeRect(x + 0.5, top + 0.5, size - 1, size - 1);
    }
  }
}
