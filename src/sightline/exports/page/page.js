// The page: unpack what is inside it, open the graphs, predict the images that are chosen or dropped, draw the answers.

const FACTS = JSON.parse(document.getElementById("facts").textContent);
const byId = (id) => document.getElementById(id);
const COLOURS = ["#e6550d", "#3182bd", "#31a354", "#756bb1", "#d62778", "#17a2b8", "#b8860b", "#8c564b", "#5f6b7a", "#bcbd22"];
const colourOf = (label) => COLOURS[FACTS.classes.indexOf(label) % COLOURS.length];

async function unpacked(id) {
  const element = byId(id), text = element.textContent;
  element.remove(); // megabytes of text that nothing reads again
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function start() {
  const script = URL.createObjectURL(new Blob([await unpacked("runtime-script")], { type: "text/javascript" }));
  const ort = await import(script);
  Object.assign(ort.env.wasm, { wasmBinary: await unpacked("runtime-binary"), numThreads: 1 }); // threads need a server's headers
  const sessions = {};
  for (const name of FACTS.graphs) {
    const options = { freeDimensionOverrides: FACTS.graphs.length === 1 ? { batch: 1 } : {}, logSeverityLevel: 3 };
    sessions[name] = await ort.InferenceSession.create(await unpacked(`graph-${name}`), options);
  }
  const tensor = (type, data, dims) => new ort.Tensor(type, type === "int64" ? BigInt64Array.from(data, BigInt) : data, dims);
  const run = (name, inputs) => {
    const wanted = sessions[name].inputNames; // an exporter drops inputs that nothing reads
    return sessions[name].run(Object.fromEntries(wanted.map((one) => [one, inputs[one]])));
  };
  return async (blob) => {
    const { geometry, channels, background } = FACTS.preprocessing;
    const original = await readImage(blob, channels, background);
    const { pixels, place } = toFrame(geometry, original);
    const size = pixels.height * pixels.width, planes = new Uint8Array(size * channels);
    for (let i = 0; i < size; i++) for (let c = 0; c < channels; c++) planes[c * size + i] = pixels.data[i * channels + c];
    const image = tensor("uint8", planes, [1, channels, pixels.height, pixels.width]);
    const natural = { height: original.height, width: original.width };
    const row = await DECODINGS[FACTS.decoding.name](run, image, { ...FACTS, settings: FACTS.decoding.settings, place, natural, tensor });
    return { ...row, natural };
  };
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function bars(pairs) {
  return element("table", {}, ...pairs.map(([label, share]) => {
    const bar = element("i");
    bar.style.cssText = `width:${(100 * share).toFixed(2)}%;background:${colourOf(label)}`;
    return element("tr", {}, element("th", { textContent: label }), element("td", {}, bar), element("td", { textContent: percent(share), className: "number" }));
  }));
}

function summary(row, threshold) {
  if (row.error) return element("p", { textContent: row.error, className: "error" });
  if (row.top) return bars(row.top);
  if (row.shares) return bars(Object.entries(row.shares));
  const shown = row.boxes.filter((box) => box.score >= threshold), counts = {};
  for (const box of shown) counts[box.label] = (counts[box.label] ?? 0) + 1;
  const text = Object.entries(counts).map(([label, n]) => `${n} ${label}`).join(", ");
  return element("p", { textContent: text || "nothing above the threshold" });
}

/** Paints answers over the picture: boxes with their scores, outlines filled, classes of pixels tinted. */
function paint(canvas, bitmap, row, threshold) {
  const { height, width } = row.natural, context = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(canvas, { height, width });
  context.drawImage(bitmap, 0, 0);
  if (row.pixels) tint(context, row.pixels, row.natural, (c) => COLOURS[c % COLOURS.length]);
  const line = Math.max(1, Math.round(Math.min(height, width) / 150)), size = Math.max(10, 7 * line);
  const shown = (row.boxes ?? []).filter((box) => box.score >= threshold).reverse(); // the surest is painted last
  for (const { label, score, xyxy: [x1, y1, x2, y2], mask } of shown) {
    const colour = colourOf(label);
    if (mask) tint(context, mask, row.natural, (on) => (on ? colour : null));
    Object.assign(context, { lineWidth: line, strokeStyle: colour, font: `${size}px system-ui`, textBaseline: "bottom" });
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const text = `${label} ${score.toFixed(2)}`, wide = context.measureText(text).width + 4;
    if (shown.length > 8 && wide > x2 - x1) continue; // labels of many small objects would hide them
    const y = Math.max(y1, size + 3);
    context.fillStyle = colour;
    context.fillRect(x1, y - size - 3, wide, size + 3);
    context.fillStyle = "#fff";
    context.fillText(text, x1 + 2, y - 1);
  }
}

function tint(context, values, { height, width }, colourFor) {
  const picture = context.getImageData(0, 0, width, height), known = new Map();
  for (let i = 0; i < values.length; i++) {
    if (!known.has(values[i])) {
      const colour = colourFor(values[i]);
      known.set(values[i], colour && [1, 3, 5].map((j) => parseInt(colour.slice(j, j + 2), 16)));
    }
    const rgb = known.get(values[i]);
    if (rgb) for (let c = 0; c < 3; c++) picture.data[4 * i + c] = (picture.data[4 * i + c] + rgb[c]) / 2;
  }
  context.putImageData(picture, 0, 0);
}

async function show(predict, files) {
  for (const file of files) {
    const canvas = element("canvas"), answer = element("div", { textContent: "…" });
    byId("answers").prepend(element("article", {}, element("h2", { textContent: file.name }), canvas, answer));
    const before = performance.now();
    const row = await predict(file).catch((error) => ({ error: `cannot be read: ${error.message}` }));
    const took = performance.now() - before;
    const bitmap = row.error ? null : await createImageBitmap(file, { imageOrientation: "from-image" });
    const draw = () => {
      if (bitmap) paint(canvas, bitmap, row, byId("threshold").value);
      answer.replaceChildren(summary(row, byId("threshold").value), element("small", { textContent: `${took.toFixed(0)} ms` }));
    };
    if (row.boxes) byId("threshold").addEventListener("input", draw);
    draw();
  }
}

const ready = (window.sightlinePredict = start()); // for programs that drive the page: a file → its row
ready.then((predict) => {
  byId("state").textContent = "Choose, drop or paste images. They do not leave this page.";
  const taken = (event, files) => (event.preventDefault(), show(predict, [...files].filter((file) => file.type.startsWith("image/"))));
  byId("files").addEventListener("change", (event) => taken(event, event.target.files));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => taken(event, event.dataTransfer.files));
  addEventListener("paste", (event) => event.clipboardData.files.length && taken(event, event.clipboardData.files));
  byId("files").disabled = false;
}).catch((error) => { byId("state").textContent = `This browser cannot run the model: ${error.message}`; });
if (FACTS.decoding.name !== "regions") byId("limits").hidden = true;
else byId("threshold").value = FACTS.threshold ?? 0.5;
