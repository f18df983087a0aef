// One training: data, a network, an optimiser, and the losses so far.

/** 2 → hidden … → 2 with that activation. */
function pointNetwork(hidden, activation, random) {
  const layers = [];
  let inputs = 2;
  for (const units of hidden) {
    layers.push(new Dense(inputs, units, random, ACTIVATIONS[activation].gain), new Activation(activation));
    inputs = units;
  }
  return new Network([...layers, new Dense(inputs, 2, random)]);
}

/** 8 x 8 pixels → ten scores: "dense" with one hidden layer, or one or two convolutions of 3 x 3, each with a pooling. */
function digitNetwork(kind, width, activation, random) {
  const gain = ACTIVATIONS[activation].gain, act = () => new Activation(activation);
  if (kind === "dense") return new Network([new Dense(64, width, random, gain), act(), new Dense(width, 10, random)]);
  const layers = [new Convolution(1, 8, width, 3, random, gain), act(), new MaxPool(width, 8)];
  if (kind === "one convolution") return new Network([...layers, new Dense(width * 16, 10, random)]);
  layers.push(new Convolution(width, 4, 2 * width, 3, random, gain), act(), new MaxPool(2 * width, 4));
  return new Network([...layers, new Dense(2 * width * 4, 10, random)]);
}

/** Rows of the samples `which` of x with so many numbers each. */
function rowsOf(x, which, width) {
  const found = new Float64Array(which.length * width);
  which.forEach((sample, i) => found.set(x.subarray(sample * width, (sample + 1) * width), i * width));
  return found;
}

class Training {
  /** train and test: {x, labels}; options: optimizer, rate, l1, l2, batch (0: all samples). */
  constructor(network, train, test, classes, options, random) {
    Object.assign(this, { network, train, test, classes, options, random, step: 0, curve: [], every: 1 });
    this.optimizer = new Optimizer(options.optimizer, network.parameters());
    this.width = train.x.length / train.labels.length;
    this.order = [];
    this.measure();
  }

  /** The next samples of an order that is shuffled anew when it is used up. */
  nextBatch() {
    const n = this.train.labels.length, size = Math.min(this.options.batch || n, n), chosen = [];
    while (chosen.length < size) {
      if (this.order.length === 0) {
        this.order = Array.from({ length: n }, (_, i) => i);
        for (let i = n - 1; i > 0; i--) {
          const j = this.random.below(i + 1);
          [this.order[i], this.order[j]] = [this.order[j], this.order[i]];
        }
      }
      chosen.push(this.order.pop());
    }
    return chosen;
  }

  advance() {
    const { network, train, options } = this, chosen = this.nextBatch();
    const labels = chosen.map((sample) => train.labels[sample]);
    const scores = network.forward(rowsOf(train.x, chosen, this.width), chosen.length);
    network.backward(crossEntropy(scores, labels, this.classes).gradient, chosen.length);
    addPenalty(network.parameters(), options.l1, options.l2);
    this.optimizer.step(options.rate);
    this.step++;
  }

  /** Loss and accuracy on both sets now, kept as a point of the curve; of the training set at most 500 samples. */
  measure() {
    const figures = { step: this.step };
    for (const name of ["train", "test"]) {
      const labels = this[name].labels.slice(0, 500), x = this[name].x.subarray(0, labels.length * this.width);
      const found = crossEntropy(this.network.forward(x, labels.length), labels, this.classes);
      figures[name] = found.loss;
      figures[`${name}Accuracy`] = found.right / labels.length;
      figures[`${name}Probability`] = found.probability;
    }
    this.latest = figures;
    const { step, train, test } = figures;
    if (step % this.every === 0 || this.curve.length === 0) this.curve.push({ step, train, test });
    if (this.curve.length > 600) {  // half as many points, twice as far apart
      this.curve = this.curve.filter((_, i) => i % 2 === 0);
      this.every *= 2;
    }
    return figures;
  }
}
