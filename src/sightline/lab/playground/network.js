// Networks of dense, convolutional and pooling layers: forward, backward, and the optimisers.
// Arrays are Float64Array in rows: n samples of so many numbers. A layer keeps what its backward needs.

const ACTIVATIONS = {
  // value(z), and its derivative from z and the value a
  ReLU: { value: (z) => (z > 0 ? z : 0), slope: (z) => (z > 0 ? 1 : 0), gain: Math.SQRT2 },
  "leaky ReLU": { value: (z) => (z > 0 ? z : 0.01 * z), slope: (z) => (z > 0 ? 1 : 0.01), gain: Math.SQRT2 },
  tanh: { value: Math.tanh, slope: (z, a) => 1 - a * a, gain: 1 },
  sigmoid: { value: (z) => 1 / (1 + Math.exp(-z)), slope: (z, a) => a * (1 - a), gain: 1 },
  linear: { value: (z) => z, slope: () => 1, gain: 1 },
};

/** A trainable array and the gradient of the loss by it. Only weights, not biases, are penalised. */
function parameter(size, penalised) {
  return { value: new Float64Array(size), gradient: new Float64Array(size), penalised };
}

/** Gaussian of variance gain² / inputs (He et al. 2015 with gain √2). */
function fill(weight, inputs, random, gain) {
  for (let i = 0; i < weight.value.length; i++) weight.value[i] = (random.normal() * gain) / Math.sqrt(inputs);
}

/** y = W x + b; W is (outputs, inputs). */
class Dense {
  constructor(inputs, outputs, random, gain = 1) {
    Object.assign(this, { inputs, outputs, weight: parameter(inputs * outputs, true), bias: parameter(outputs, false) });
    fill(this.weight, inputs, random, gain);
  }

  parameters() {
    return [this.weight, this.bias];
  }

  forward(x, n) {
    const { inputs, outputs } = this, w = this.weight.value, y = new Float64Array(n * outputs);
    this.x = x;
    for (let i = 0; i < n; i++)
      for (let o = 0; o < outputs; o++) {
        let sum = this.bias.value[o];
        for (let k = 0; k < inputs; k++) sum += w[o * inputs + k] * x[i * inputs + k];
        y[i * outputs + o] = sum;
      }
    return y;
  }

  backward(g, n) {
    const { inputs, outputs, x } = this, w = this.weight.value, dw = this.weight.gradient, dx = new Float64Array(n * inputs);
    for (let i = 0; i < n; i++)
      for (let o = 0; o < outputs; o++) {
        const d = g[i * outputs + o];
        if (d === 0) continue;
        this.bias.gradient[o] += d;
        for (let k = 0; k < inputs; k++) {
          dw[o * inputs + k] += d * x[i * inputs + k];
          dx[i * inputs + k] += d * w[o * inputs + k];
        }
      }
    return dx;
  }
}

/** The activation of that name, element by element. */
class Activation {
  constructor(name) {
    this.how = ACTIVATIONS[name];
  }

  parameters() {
    return [];
  }

  forward(z) {
    this.z = z;
    this.a = z.map(this.how.value);
    return this.a;
  }

  backward(g) {
    const { z, a, how } = this;
    return g.map((d, i) => d * how.slope(z[i], a[i]));
  }
}

/** Correlation at stride 1 with zeros around the map, which keeps its size. Maps are (channels, side, side), filters
 * (filters, channels, size, size) with an odd size. */
class Convolution {
  constructor(channels, side, filters, size, random, gain = 1) {
    const inputs = channels * size * size;
    Object.assign(this, { channels, side, filters, size, weight: parameter(filters * inputs, true), bias: parameter(filters, false) });
    fill(this.weight, inputs, random, gain);
  }

  parameters() {
    return [this.weight, this.bias];
  }

  /** Calls visit(output, input, weight, count) for each row of places that one weight connects: `count` neighbours from the
   * first output and the first input on. */
  eachRow(n, visit) {
    const { channels, side, filters, size } = this, area = side * side, half = (size - 1) / 2;
    for (let i = 0; i < n; i++)
      for (let f = 0; f < filters; f++)
        for (let weight = f * channels * size * size, c = 0; c < channels; c++)
          for (let dy = -half; dy <= half; dy++)
            for (let dx = -half; dx <= half; dx++, weight++) {
              const first = Math.max(0, -dx), last = Math.min(side, side - dx);
              for (let y = Math.max(0, -dy); y < Math.min(side, side - dy); y++) {
                const output = (i * filters + f) * area + y * side + first;
                visit(output, (i * channels + c) * area + (y + dy) * side + first + dx, weight, last - first);
              }
            }
  }

  forward(x, n) {
    const { side, filters } = this, area = side * side, y = new Float64Array(n * filters * area), w = this.weight.value;
    this.x = x;
    for (let i = 0; i < n * filters; i++) y.fill(this.bias.value[i % filters], i * area, (i + 1) * area);
    this.eachRow(n, (output, input, weight, count) => {
      const factor = w[weight];
      for (let k = 0; k < count; k++) y[output + k] += factor * x[input + k];
    });
    return y;
  }

  backward(g, n) {
    const { channels, side, filters, x } = this, area = side * side, dx = new Float64Array(n * channels * area);
    const w = this.weight.value, dw = this.weight.gradient;
    for (let i = 0; i < g.length; i++) this.bias.gradient[Math.floor(i / area) % filters] += g[i];
    this.eachRow(n, (output, input, weight, count) => {
      const factor = w[weight];
      let sum = 0;
      for (let k = 0; k < count; k++) {
        sum += g[output + k] * x[input + k];
        dx[input + k] += g[output + k] * factor;
      }
      dw[weight] += sum;
    });
    return dx;
  }
}

/** The largest of each 2 x 2 places; the gradient goes to the first of equal ones. */
class MaxPool {
  constructor(channels, side) {
    Object.assign(this, { channels, side });
  }

  parameters() {
    return [];
  }

  forward(x, n) {
    const { channels, side } = this, half = side / 2, y = new Float64Array(n * channels * half * half);
    this.from = new Int32Array(y.length);
    for (let m = 0; m < n * channels; m++)
      for (let r = 0; r < half; r++)
        for (let c = 0; c < half; c++) {
          const first = m * side * side + 2 * r * side + 2 * c;
          let best = first;
          for (const place of [first + 1, first + side, first + side + 1]) if (x[place] > x[best]) best = place;
          const output = (m * half + r) * half + c;
          y[output] = x[best];
          this.from[output] = best;
        }
    return y;
  }

  backward(g, n) {
    const dx = new Float64Array(n * this.channels * this.side * this.side);
    g.forEach((d, i) => { dx[this.from[i]] += d; });
    return dx;
  }
}

/** Layers in a row. `outputs` holds what each gave at the last forward. */
class Network {
  constructor(layers) {
    this.layers = layers;
    this.outputs = [];
  }

  parameters() {
    return this.layers.flatMap((layer) => layer.parameters());
  }

  forward(x, n) {
    this.outputs = [];
    for (const layer of this.layers) this.outputs.push((x = layer.forward(x, n)));
    return x;
  }

  /** Replaces the gradients of all parameters; returns the gradient by the input. */
  backward(g, n) {
    for (const p of this.parameters()) p.gradient.fill(0);
    for (const layer of [...this.layers].reverse()) g = layer.backward(g, n);
    return g;
  }
}

/** Mean cross-entropy of scores (n, classes), its gradient by them, the probabilities, and how many samples are right. */
function crossEntropy(scores, labels, classes) {
  const n = labels.length, gradient = new Float64Array(scores.length), probability = new Float64Array(scores.length);
  let loss = 0, right = 0;
  for (let i = 0; i < n; i++) {
    let best = 0, sum = 0;
    for (let c = 1; c < classes; c++) if (scores[i * classes + c] > scores[i * classes + best]) best = c;
    const most = scores[i * classes + best];  // subtracted, so that no exponential overflows
    for (let c = 0; c < classes; c++) sum += Math.exp(scores[i * classes + c] - most);
    loss += Math.log(sum) + most - scores[i * classes + labels[i]];
    right += best === labels[i];
    for (let c = 0; c < classes; c++) {
      const p = Math.exp(scores[i * classes + c] - most) / sum;
      probability[i * classes + c] = p;
      gradient[i * classes + c] = (p - (c === labels[i])) / n;
    }
  }
  return { loss: loss / n, gradient, probability, right };
}

/** Adds the gradient of l1 Σ|w| + l2/2 Σw² over the weights. */
function addPenalty(parameters, l1, l2) {
  for (const { value, gradient, penalised } of parameters)
    if (penalised) for (let i = 0; i < value.length; i++) gradient[i] += l1 * Math.sign(value[i]) + l2 * value[i];
}

/** Stochastic gradient descent, with momentum 0.9, or Adam (Kingma and Ba 2015) with its published constants. */
class Optimizer {
  constructor(name, parameters) {
    Object.assign(this, { name, parameters, steps: 0 });
    this.first = parameters.map((p) => new Float64Array(p.value.length));
    this.second = parameters.map((p) => new Float64Array(p.value.length));
  }

  step(rate) {
    const t = ++this.steps;
    this.parameters.forEach(({ value, gradient }, which) => {
      const m = this.first[which], v = this.second[which];
      for (let i = 0; i < value.length; i++) {
        if (this.name === "Adam") {
          m[i] = 0.9 * m[i] + 0.1 * gradient[i];
          v[i] = 0.999 * v[i] + 0.001 * gradient[i] ** 2;
          value[i] -= (rate * m[i]) / (1 - 0.9 ** t) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8);
        } else {
          m[i] = this.name === "momentum" ? 0.9 * m[i] + gradient[i] : gradient[i];
          value[i] -= rate * m[i];
        }
      }
    });
  }
}
