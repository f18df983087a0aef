// What both halves of the page share: their controls, and playing.

const byId = (id) => document.getElementById(id);

/** The value of a control, a number where it holds one. */
function valueOf(id) {
  const text = byId(id).value;
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** A whole number of an input, brought between its bounds. */
function wholeOf(id) {
  const input = byId(id), number = Math.round(Number(input.value)) || 0;
  const value = Math.min(Number(input.max), Math.max(Number(input.min), number));
  input.value = String(value);
  return value;
}

/** Plays, pauses, steps and resets one half of the page. `half` has name, training, reset(), draw(); the ids of its controls
 * begin with its name. Controls in `live` change the training that runs, all others begin a new one. */
class Player {
  constructor(half, live) {
    this.half = half;
    this.playing = false;
    const at = (id) => byId(`${half.name}-${id}`);
    this.button = at("play");
    this.button.addEventListener("click", () => this.play(!this.playing));
    at("step").addEventListener("click", () => { this.play(false); this.advance(1); });
    at("reset").addEventListener("click", () => { this.play(false); this.reset(); });
    for (const control of at("controls").querySelectorAll("select, input"))
      control.addEventListener("change", () => {
        const key = control.id.slice(half.name.length + 1);
        if (key === "speed") return;
        if (live.includes(key)) this.half.training.options[key] = valueOf(control.id);
        else this.reset();
      });
  }

  reset() {
    this.half.reset();
    this.show();
  }

  play(on) {
    this.playing = on;
    this.button.textContent = on ? "Pause" : "Play";
    this.button.setAttribute("aria-pressed", String(on));
    if (on) requestAnimationFrame(() => this.frame());
    else this.show();
  }

  frame() {
    if (!this.playing) return;
    const steps = { slow: 1, medium: 5, fast: Infinity }[valueOf(`${this.half.name}-speed`)], until = performance.now() + 25;
    for (let i = 0; i < steps && (i === 0 || performance.now() < until); i++) this.half.training.advance();
    if (!Number.isFinite(this.half.training.measure().train)) this.play(false);
    else this.half.draw(colours(), true);
    requestAnimationFrame(() => this.frame());
  }

  advance(steps) {
    for (let i = 1; i <= steps; i++) {
      this.half.training.advance();
      if (i % Math.ceil(steps / 100) === 0 || i === steps) this.half.training.measure();
    }
    this.show();
    return this.half.training.latest;
  }

  /** Draws, and says the figures to those who listen. */
  show() {
    this.half.draw(colours(), false);
    byId(`${this.half.name}-spoken`).textContent = figuresText(this.half.training.latest);
  }
}
