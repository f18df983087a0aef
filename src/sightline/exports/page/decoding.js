// Outputs of graphs → predictions: the rules of `runtime`, in its rows.

const DECODINGS = { "class scores": decodeClasses, "pixel scores": decodePixels, regions: decodeRegions, places: decodePlaces };

function softmax(values) {
  const top = Math.max(...values), power = Array.from(values, (v) => Math.exp(v - top));
  const sum = power.reduce((a, b) => a + b, 0);
  return power.map((v) => v / sum);
}

const sigmoid = (v) => 1 / (1 + Math.exp(-v));
const ranked = (values) => Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);

async function decodeClasses(run, image, { settings, classes }) {
  const probability = softmax((await run("model", { image })).scores.data);
  const top = ranked(probability).slice(0, settings.top).map((i) => [classes[i], probability[i]]);
  return { label: top[0][0], probability: top[0][1], top };
}

async function decodePixels(run, image, { classes, place, natural }) {
  const { scores } = await run("model", { image });
  const index = classMap(scores.data, scores.dims.slice(1), place, natural);
  const counts = new Array(classes.length).fill(0);
  for (const c of index) counts[c]++;
  const present = ranked(counts).filter((c) => counts[c]);
  return { shares: Object.fromEntries(present.map((c) => [classes[c], counts[c] / index.length])), pixels: index };
}

/** The class of each pixel of the original: scores resampled between pixel centres, then the largest. */
function classMap(score, [classes, height, width], place, natural) {
  const down = axisTaps(place.scaleY, place.top, natural.height, height);
  const across = axisTaps(place.scaleX, place.left, natural.width, width);
  const whole = down.covered && across.covered; // both, or the padding around partial pixels counts on both axes
  const rows = whole ? down.stretched : down.placed, columns = whole ? across.stretched : across.placed;
  const out = new Uint8Array(natural.height * natural.width);
  for (let y = 0, to = 0; y < natural.height; y++) {
    const [top, bottom, v] = rows(y);
    for (let x = 0; x < natural.width; x++, to++) {
      const [left, right, u] = columns(x);
      let best = -Infinity;
      for (let c = 0; c < classes; c++) {
        const at = (i, j) => score[(c * height + i) * width + j];
        const value = (at(top, left) * (1 - u) + at(top, right) * u) * (1 - v) + (at(bottom, left) * (1 - u) + at(bottom, right) * u) * v;
        if (value > best) [best, out[to]] = [value, c];
      }
    }
  }
  return out;
}

/** Which scores each pixel of the original reads along one axis; see `decoding.covering` for what is covered. */
function axisTaps(scale, start, length, side) {
  const stop = start + scale * length, first = Math.round(start), last = Math.round(stop);
  const covered = Math.abs(start - first) < 0.01 && Math.abs(stop - last) < 0.01 && first >= 0 && first < last && last <= side;
  const taps = (position, from, to) => {
    const at = Math.min(Math.max(position, from), to - 1), low = Math.floor(at);
    return [low, Math.min(low + 1, to - 1), at - low];
  };
  return {
    covered,
    stretched: (i) => taps(first + (i + 0.5) * ((last - first) / length) - 0.5, first, last),
    placed: (i) => taps(scale * (i + 0.5) + start - 0.5, 0, side),
  };
}

async function decodeRegions(run, image, { settings, classes, place, natural, tensor, graphs }) {
  const found = await run("propose", { image });
  const proposals = propose(found, settings);
  const portions = async (name, boxes, more = () => ({})) => {
    const parts = [];
    for (let i = 0; i < boxes.length; i += 128) {
      const some = boxes.slice(i, i + 128), n = some.length;
      const inputs = { table: found.table, proposals: tensor("float32", some.flat(), [n, 4]) };
      parts.push(await run(name, { ...inputs, sample: tensor("int64", new Array(n).fill(0), [n]), ...more(i, n) }));
    }
    return parts;
  };
  const kept = detect(await portions("classify", proposals), settings);
  const rows = kept.map(({ box, label, score }) => ({ label: classes[label], score, xyxy: toOriginal(box, place, natural) }));
  if (graphs.includes("mask") && kept.length) {
    const labels = (i, n) => ({ label: tensor("int64", kept.slice(i, i + n).map((one) => one.label), [n]) });
    const parts = await portions("mask", kept.map((one) => one.box), labels);
    const cells = parts[0].mask.dims[1], all = parts.flatMap((part) => Array.from(part.mask.data));
    rows.forEach((row, i) => {
      row.mask = paste(all.slice(i * cells * cells, (i + 1) * cells * cells).map(sigmoid), cells, row.xyxy, natural);
    });
  }
  return { boxes: rows };
}

async function decodePlaces(run, image, { settings, classes, place, natural }) {
  const { boxes, score } = await run("model", { image });
  const [, places, k] = score.dims, some = [], least = Math.fround(settings.score);
  for (let i = 0; i < places; i++) {
    const box = Array.from(boxes.data.subarray(4 * i, 4 * i + 4));
    if (!wide(box, settings.smallest_box)) continue;
    for (let c = 0; c < k; c++) if (score.data[i * k + c] > least) some.push({ box, score: score.data[i * k + c], label: c });
  }
  const kept = suppress(some, settings.overlap).slice(0, settings.limit);
  return { boxes: kept.map(({ box, label, score }) => ({ label: classes[label], score, xyxy: toOriginal(box, place, natural) })) };
}

function propose({ logit, boxes, level }, settings) {
  const some = [];
  for (let i = 0; i < level.data.length; i++) {
    const box = Array.from(boxes.data.subarray(4 * i, 4 * i + 4));
    if (wide(box, settings.smallest_proposal)) some.push({ box, score: Math.fround(sigmoid(logit.data[i])), label: Number(level.data[i]) });
  }
  return suppress(some, settings.proposal_overlap).slice(0, settings.proposals).map((one) => one.box);
}

function detect(parts, settings) {
  const some = [];
  for (const { logits, boxes } of parts) {
    const [n, k] = logits.dims;
    for (let i = 0; i < n; i++) {
      const probability = softmax(logits.data.subarray(i * k, (i + 1) * k));
      for (let c = 1; c < k; c++) {
        const start = 4 * (i * (k - 1) + c - 1), box = Array.from(boxes.data.subarray(start, start + 4));
        if (probability[c] > settings.score && wide(box, settings.smallest_box)) some.push({ box, score: probability[c], label: c - 1 });
      }
    }
  }
  return suppress(some, settings.overlap).slice(0, settings.limit);
}

const wide = ([x1, y1, x2, y2], least) => x2 - x1 >= least && y2 - y1 >= least;

/** Best first; one is dropped if it overlaps a better one of its label by more than the threshold. */
function suppress(some, threshold) {
  const order = ranked(some.map((one) => one.score)).map((i) => some[i]), kept = [];
  for (const one of order) {
    if (!kept.some((better) => better.label === one.label && overlap(better.box, one.box) > threshold)) kept.push(one);
  }
  return kept;
}

function overlap(a, b) {
  const wide = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])), tall = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = (x) => (x[2] - x[0]) * (x[3] - x[1]);
  return (wide * tall) / (area(a) + area(b) - wide * tall);
}

function toOriginal([x1, y1, x2, y2], place, natural) {
  const x = (v) => Math.min(Math.max((v - place.left) / place.scaleX, 0), natural.width);
  const y = (v) => Math.min(Math.max((v - place.top) / place.scaleY, 0), natural.height);
  return [x(x1), y(y1), x(x2), y(y2)];
}

/** A mask of probabilities over its box, as a byte for each pixel of the original: 1 where it exceeds one half. */
function paste(mask, cells, [x1, y1, x2, y2], { height, width }) {
  const out = new Uint8Array(height * width);
  const hats = (low, high, pixel) => {
    const position = ((pixel + 0.5 - low) / Math.max(high - low, 1e-6)) * cells - 0.5, first = Math.floor(position);
    return [first, first + 1].filter((i) => i >= 0 && i < cells).map((i) => [i, 1 - Math.abs(position - i)]);
  };
  const margin = 1; // a hat reaches half a cell beyond the box
  const edge = (low, high, side) => [Math.max(0, Math.floor(low - (high - low) / cells) - margin), Math.min(side, Math.ceil(high + (high - low) / cells) + margin)];
  const [top, bottom] = edge(y1, y2, height), [left, right] = edge(x1, x2, width);
  for (let y = top; y < bottom; y++) {
    const rows = hats(y1, y2, y);
    for (let x = left; x < right; x++) {
      let sum = 0;
      for (const [j, u] of hats(x1, x2, x)) for (const [i, v] of rows) sum += u * v * mask[i * cells + j];
      if (sum > 0.5) out[y * width + x] = 1;
    }
  }
  return out;
}
