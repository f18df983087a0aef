// The half of the page about points: the network as a diagram, its decision surface, its losses.

const GRID = 40, HALF = 2;  // places a side, and the window from -HALF to HALF

class PointsHalf {
  constructor() {
    this.name = "points";
    this.chosen = null;  // [layer, unit] that the large picture shows; null: the network's answer
    this.grid = new Float64Array(2 * GRID * GRID);
    for (let i = 0; i < GRID * GRID; i++) {
      this.grid[2 * i] = ((i % GRID) + 0.5) * (2 * HALF / GRID) - HALF;
      this.grid[2 * i + 1] = HALF - (Math.floor(i / GRID) + 0.5) * (2 * HALF / GRID);
    }
    const diagram = byId("points-diagram");
    diagram.addEventListener("click", (event) => this.choose(this.unitAt(event.offsetX, event.offsetY)));
    diagram.addEventListener("keydown", (event) => this.walk(event));
  }

  /** Hidden units of each layer; the inputs for them follow the number of layers. */
  hidden() {
    const layers = wholeOf("points-layers");
    for (let i = 1; i <= 4; i++) byId(`points-units-${i}`).disabled = i > layers;
    return Array.from({ length: layers }, (_, i) => wholeOf(`points-units-${i + 1}`));
  }

  reset() {
    const random = new Random(wholeOf("points-seed")), noise = valueOf("points-noise"), data = valueOf("points-data");
    const train = drawPoints(data, 200, noise, random), test = drawPoints(data, 200, noise, random);
    const options = {};
    for (const key of ["optimizer", "rate", "l1", "l2", "batch"]) options[key] = valueOf(`points-${key}`);
    const network = pointNetwork(this.hidden(), valueOf("points-activation"), random);
    this.chosen = null;
    this.training = new Training(network, train, test, 2, options, random);
  }

  /** What the inputs and every dense layer's units give on the grid: a list of layers of surfaces in [-1, 1], the last of one
   * surface, 2 p - 1 for the probability p of the second class. */
  surfaces() {
    const n = GRID * GRID, { network } = this.training, outputs = (network.forward(this.grid, n), network.outputs);
    const pick = (values, units, unit) => Float64Array.from({ length: n }, (_, i) => values[i * units + unit]);
    const layers = [[0, 1].map((unit) => scaled(pick(this.grid, 2, unit)))];
    network.layers.forEach((layer, i) => {
      if (!(layer instanceof Activation)) return;
      const units = network.layers[i - 1].outputs;
      layers.push(Array.from({ length: units }, (_, unit) => scaled(pick(outputs[i], units, unit))));
    });
    const scores = outputs[outputs.length - 1];
    layers.push([Float64Array.from({ length: n }, (_, i) => Math.tanh((scores[2 * i + 1] - scores[2 * i]) / 2))]);
    return layers;
  }

  /** Where the units of the diagram stand: a list of layers of {x, y}, and their side. */
  places(layers, width) {
    const side = Math.min(40, (width - 8) / layers.length - 14, 220 / Math.max(...layers.map((l) => l.length)));
    const gap = (width - layers.length * side) / Math.max(1, layers.length - 1);
    const most = Math.max(...layers.map((l) => l.length)), height = Math.max(most, 4) * (side + 8);
    const place = (column, units) => (_, row) => ({ x: column * (side + gap), y: (height - units * (side + 8)) / 2 + row * (side + 8) + 4 });
    return { side, height, units: layers.map((layer, column) => layer.map(place(column, layer.length))) };
  }

  draw(tones) {
    const layers = this.surfaces();
    this.drawDiagram(layers, tones);
    this.drawPlane(layers, tones);
    drawCurves(byId("points-curves"), this.training, tones);
    byId("points-figures").textContent = figuresText(this.training.latest);
  }

  drawDiagram(layers, tones) {
    const canvas = byId("points-diagram"), shape = this.places(layers, canvas.clientWidth);
    const { context } = prepared(canvas, shape.height), { side, units } = (this.shape = shape);
    const dense = this.training.network.layers.filter((layer) => layer instanceof Dense);
    dense.forEach((layer, column) => {
      const weight = (o, k) => layer.weight.value[o * layer.inputs + k];
      const last = column === dense.length - 1;  // the answer is the difference of two scores
      units[column + 1].forEach((to, o) => units[column].forEach((from, k) => {
        const value = last ? weight(1, k) - weight(0, k) : weight(o, k);
        context.strokeStyle = css(value < 0 ? tones.one : tones.two, 0.25 + 0.6 * Math.min(1, Math.abs(value)));
        context.lineWidth = Math.max(0.4, Math.min(7, 2 * Math.abs(value)));
        context.beginPath();
        context.moveTo(from.x + side, from.y + side / 2);
        const middle = (from.x + side + to.x) / 2;
        context.bezierCurveTo(middle, from.y + side / 2, middle, to.y + side / 2, to.x, to.y + side / 2);
        context.stroke();
      }));
    });
    context.imageSmoothingEnabled = true;
    layers.forEach((layer, column) => layer.forEach((values, row) => {
      const { x, y } = units[column][row], chosen = this.chosen && this.chosen[0] === column && this.chosen[1] === row;
      context.drawImage(surface(values, GRID, tones), x, y, side, side);
      context.strokeStyle = css(chosen ? tones.ink : tones.soft);
      context.lineWidth = chosen ? 3 : 1;
      context.strokeRect(x, y, side, side);
    }));
  }

  drawPlane(layers, tones) {
    const canvas = byId("points-plane"), { context, width } = prepared(canvas, (wide) => wide);
    const [column, row] = this.chosen || [layers.length - 1, 0];
    const place = (value) => ((value + HALF) / (2 * HALF)) * width;
    context.globalAlpha = 0.75;
    context.drawImage(surface(layers[column][row], GRID, tones), 0, 0, width, width);
    context.globalAlpha = 1;
    for (const name of ["test", "train"]) {
      const { x, labels } = this.training[name];
      labels.forEach((label, i) => {
        const left = place(x[2 * i]), top = width - place(x[2 * i + 1]), tone = css(label ? tones.two : tones.one);
        context.beginPath();
        context.arc(left, top, name === "train" ? 3.4 : 2.6, 0, 2 * Math.PI);
        context.fillStyle = name === "train" ? tone : css(tones.paper);
        context.strokeStyle = name === "train" ? css(tones.paper) : tone;
        context.lineWidth = 1;
        context.fill();
        context.stroke();
      });
    }
    const what = this.chosen ? this.unitName(column, row, layers.length) : "The network's answer";
    byId("points-caption").textContent = `${what}. Discs are training points, rings test points.`;
    canvas.setAttribute("aria-label", `${what} over the plane, with the points. ${figuresText(this.training.latest)}`);
  }

  unitName(column, row, columns) {
    if (column === 0) return `Input ${row + 1}`;
    return column === columns - 1 ? "The network's answer" : `Unit ${row + 1} of hidden layer ${column}`;
  }

  unitAt(x, y) {
    const { side, units } = this.shape;
    for (let column = 0; column < units.length; column++)
      for (let row = 0; row < units[column].length; row++) {
        const place = units[column][row];
        if (x >= place.x && x <= place.x + side && y >= place.y && y <= place.y + side) return [column, row];
      }
    return null;
  }

  choose(unit) {
    this.chosen = unit;
    this.draw(colours());
    byId("points-spoken").textContent = byId("points-caption").textContent;
  }

  /** Arrow keys walk from unit to unit, Escape goes back to the network's answer. */
  walk(event) {
    const { units } = this.shape, [column, row] = this.chosen || [units.length - 1, 0];
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Escape") return this.choose(null);
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [dx, dy] = moves[event.key], next = Math.max(0, Math.min(units.length - 1, column + dx));
    this.choose([next, Math.max(0, Math.min(units[next].length - 1, row + dy))]);
  }
}
