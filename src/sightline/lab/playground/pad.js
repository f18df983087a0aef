// The field to draw a digit in, and how a drawing becomes 8 x 8 numbers.

const FINE = 32;  // places a side; a block of 4 x 4 of them is one pixel of the digits

/** The share of ink in blocks of 4 x 4, from 0 to 16, after the drawing was brought to the full height and centred: what the
 * makers of these digits did with scanned forms (Alpaydin and Kaynak 1998). `ink` is (32 * 32) of 0 and 1. */
function pixelsOf(ink) {
  const found = new Float64Array(64);
  let top = FINE, bottom = -1, left = FINE, right = -1;
  ink.forEach((on, i) => {
    if (!on) return;
    const x = i % FINE, y = Math.floor(i / FINE);
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  });
  if (bottom < 0) return found;
  const side = Math.max(bottom - top, right - left) + 1, middle = [(top + bottom + 1) / 2, (left + right + 1) / 2];
  for (let i = 0; i < FINE * FINE; i++) {
    const x = i % FINE, y = Math.floor(i / FINE);
    const fromY = Math.floor(middle[0] + (((y + 0.5) / FINE) - 0.5) * side), fromX = Math.floor(middle[1] + (((x + 0.5) / FINE) - 0.5) * side);
    if (fromY >= 0 && fromX >= 0 && fromY < FINE && fromX < FINE) found[Math.floor(y / 4) * 8 + Math.floor(x / 4)] += ink[fromY * FINE + fromX];
  }
  return found;
}

/** A canvas that takes strokes of a mouse, a pen or a finger; the arrow keys move a pen, Space sets it down or lifts it. */
class Pad {
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, ink: new Uint8Array(FINE * FINE), pen: [FINE / 2, 4], down: false, last: null });
    const at = (event) => [(event.offsetX / canvas.clientWidth) * FINE, (event.offsetY / canvas.clientHeight) * FINE];
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.stroke((this.last = at(event)));
    });
    canvas.addEventListener("pointermove", (event) => { if (this.last) this.stroke(at(event)); });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { this.last = null; });
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.draw(colours()));
  }

  /** Ink along the line from the last place. */
  stroke(to) {
    const from = this.last || to, steps = Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) * 2) + 1;
    for (let s = 0; s <= steps; s++) this.dot(from[0] + ((to[0] - from[0]) * s) / steps, from[1] + ((to[1] - from[1]) * s) / steps);
    this.last = to;
    this.changed();
  }

  dot(x, y) {
    for (let i = 0; i < this.ink.length; i++)
      if (Math.hypot((i % FINE) + 0.5 - x, Math.floor(i / FINE) + 0.5 - y) < 2.9) this.ink[i] = 1;
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") this.down = !this.down;
    else if (event.key in moves) this.pen = this.pen.map((value, i) => Math.max(1, Math.min(FINE - 1, value + moves[event.key][i])));
    else return;
    event.preventDefault();
    if (this.down) this.dot(...this.pen);
    this.changed();
  }

  clear() {
    this.ink.fill(0);
    this.down = false;
    this.changed();
  }

  draw(tones) {
    const { context, width } = prepared(this.canvas, (wide) => wide), cell = width / FINE;
    context.fillStyle = css(tones.panel);
    context.fillRect(0, 0, width, width);
    context.strokeStyle = css(tones.rule);
    for (let i = 4; i < FINE; i += 4) {
      context.strokeRect(i * cell, -1, 0, width + 2);
      context.strokeRect(-1, i * cell, width + 2, 0);
    }
    context.fillStyle = css(tones.ink);
    this.ink.forEach((on, i) => { if (on) context.fillRect((i % FINE) * cell, Math.floor(i / FINE) * cell, cell + 0.5, cell + 0.5); });
    if (document.activeElement !== this.canvas) return;
    context.beginPath();
    context.arc(this.pen[0] * cell, this.pen[1] * cell, 5, 0, 2 * Math.PI);
    context.strokeStyle = context.fillStyle = css(tones.two);
    context.lineWidth = 2;
    if (this.down) context.fill();
    else context.stroke();
  }
}
