// Predictions of `POST /predictions` drawn on the image: boxes, masks of objects, classes of pixels.

// As in the report: apart under three colour deficiencies, and on photographs.
const COLOURS = ["#1f77d0", "#e8820c", "#2f9e44", "#d6336c", "#8f5bd6", "#0f9fb5", "#b8860b", "#e8590c", "#5c7cfa", "#74b816"];

export function colourOf(classes, label) {
  const index = classes.indexOf(label);
  return COLOURS[(index < 0 ? 0 : index) % COLOURS.length];
}

// Pixels of the longer side of the canvas: large images are shrunk, and small ones enlarged so that labels have room.
const LEAST = 900, MOST = 1400;

export function drawPrediction(canvas, bitmap, row, classes, conf, mask) {
  const longest = Math.max(bitmap.width, bitmap.height);
  const scale = Math.min(Math.max(longest, LEAST), MOST) / longest;
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = scale < 1;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  if (mask) drawClassMask(context, mask, canvas, classes);
  const boxes = (row.boxes ?? []).filter((box) => box.score >= conf).sort((a, b) => b.score - a.score);
  for (const box of boxes) if (box.rle) drawObjectMask(context, box.rle, canvas, colourOf(classes, box.label));
  for (const box of boxes) drawOutline(context, box, scale, canvas, colourOf(classes, box.label));
  const labels = [];
  for (const box of boxes) drawLabel(context, box, scale, canvas, colourOf(classes, box.label), labels);
}

function drawOutline(context, box, scale, canvas, colour) {
  const [left, top, right, bottom] = box.xyxy.map((value) => value * scale);
  context.lineWidth = Math.max(2, Math.round(canvas.width / 400));
  context.strokeStyle = colour;
  context.strokeRect(left, top, right - left, bottom - top);
}

// A label that would cover that of a more certain box is left out.
function drawLabel(context, box, scale, canvas, colour, labels) {
  const [left, top] = box.xyxy.map((value) => value * scale);
  const size = Math.max(13, Math.round(canvas.width / 60));
  const text = `${box.label} ${Math.round(box.score * 100)} %`;
  context.font = `600 ${size}px sans-serif`;
  const long = context.measureText(text).width + size * 0.6;
  const high = size * 1.35;
  const x = Math.max(0, Math.min(left, canvas.width - long));
  const y = top - high >= 0 ? top - high : Math.min(top, canvas.height - high);
  if (labels.some((other) => x < other.x + other.long && other.x < x + long && y < other.y + high && other.y < y + high)) return;
  labels.push({ x, y, long });
  context.fillStyle = colour;
  context.fillRect(x, y, long, high);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, x + size * 0.3, y + high / 2);
}

function drawObjectMask(context, rle, canvas, colour) {
  const [height, width] = rle.size;
  const pixels = new ImageData(width, height);
  const [red, green, blue] = rgb(colour);
  let place = 0, set = false;
  for (const run of runs(rle.counts)) {
    if (set) {
      for (let at = place; at < place + run; at++) {  // down the columns
        const pixel = 4 * ((at % height) * width + Math.floor(at / height));
        pixels.data.set([red, green, blue, 120], pixel);
      }
    }
    place += run;
    set = !set;
  }
  paste(context, pixels, canvas);
}

// COCO's compressed counts: groups of five bits, the sixth says that more follow, and from the third on each count is
// the difference to the one two before.
function runs(counts) {
  const values = [];
  for (let at = 0; at < counts.length;) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const code = counts.charCodeAt(at++) - 48;
      value |= (code & 31) << shift;
      shift += 5;
      more = (code & 32) !== 0;
      if (!more && (code & 16)) value |= -1 << shift;
    }
    values.push(values.length > 2 ? value + values[values.length - 2] : value);
  }
  return values;
}

function drawClassMask(context, mask, canvas, classes) {
  const { width, height, values } = mask;
  const pixels = new ImageData(width, height);
  const palette = classes.map((label) => rgb(colourOf(classes, label)));
  for (let at = 0; at < values.length; at++) {
    const colour = palette[values[at]];
    if (colour) pixels.data.set([...colour, 130], 4 * at);
  }
  paste(context, pixels, canvas);
}

function paste(context, pixels, canvas) {
  const layer = new OffscreenCanvas(pixels.width, pixels.height);
  layer.getContext("2d").putImageData(pixels, 0, 0);
  context.drawImage(layer, 0, 0, canvas.width, canvas.height);
}

// The class of every pixel, from a grey PNG.
export async function readClassMask(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }), options);
  const layer = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = layer.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return { width: bitmap.width, height: bitmap.height, values: data.filter((_, at) => at % 4 === 0) };
}

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}
