// An image in the network's frame, with the pixels of `preprocessing.geometry`, bit for bit. A canvas resizes by other
// rules in every browser, so Pillow's bilinear filter is repeated here, in its fixed-point numbers.

const PRECISION = 22; // bits of a weight behind the point

const roundUpHalf = (side) => Math.max(1, Math.floor(side + 0.5));

/** Where an original of this size lands: scales, the place of its top left corner, and the size of the canvas. */
function placement(geometry, height, width) {
  const canvas = { height: geometry.height, width: geometry.width };
  if (geometry.fit === "stretch") {
    return { scaleX: canvas.width / width, scaleY: canvas.height / height, left: 0, top: 0, ...canvas };
  }
  if (geometry.fit === "crop") {
    const scale = Math.max(canvas.width / width, canvas.height / height) / geometry.share;
    const excess = (scaled, side) => Math.max(0, Math.floor((scaled - side) / 2 + 1e-6));
    const left = -excess(width * scale, canvas.width), top = -excess(height * scale, canvas.height);
    return { scaleX: scale, scaleY: scale, left, top, ...canvas };
  }
  const scale = Math.min(canvas.width / width, canvas.height / height); // letterbox or corner
  const h = Math.min(roundUpHalf(height * scale), canvas.height), w = Math.min(roundUpHalf(width * scale), canvas.width);
  const share = geometry.fit === "corner" ? 0 : 2;
  const left = share && Math.floor((canvas.width - w) / share), top = share && Math.floor((canvas.height - h) / share);
  return { scaleX: w / width, scaleY: h / height, left, top, ...canvas };
}

/** The image {data, height, width, channels} in the network's frame, and its placement. */
function toFrame(geometry, image) {
  const place = placement(geometry, image.height, image.width);
  if (geometry.fit === "crop") {
    const left = -place.left / place.scaleX, top = -place.top / place.scaleY;
    const right = Math.min(image.width, left + place.width / place.scaleX);
    const bottom = Math.min(image.height, top + place.height / place.scaleY);
    return { pixels: resize(image, place.height, place.width, [left, top, right, bottom]), place };
  }
  const h = roundUpHalf(image.height * place.scaleY), w = roundUpHalf(image.width * place.scaleX);
  const resized = resize(image, h, w, [0, 0, image.width, image.height]);
  if (h === place.height && w === place.width) return { pixels: resized, place };
  const data = new Uint8Array(place.height * place.width * image.channels).fill(geometry.pad);
  for (let y = 0; y < h; y++) {
    const row = resized.data.subarray(y * w * image.channels, (y + 1) * w * image.channels);
    data.set(row, ((place.top + y) * place.width + place.left) * image.channels);
  }
  return { pixels: { data, height: place.height, width: place.width, channels: image.channels }, place };
}

/** Pillow's Image.resize(BILINEAR, box): two passes, rounded to bytes in between. Which comes first changes last bits, so it
 * is Pillow's choice: columns where they lose more than twice as many pixels as rows do, as measured on 4,000 sizes. */
function resize(image, height, width, box) {
  const [left, top, right, bottom] = box.map(Math.fround); // Pillow keeps the box in single precision
  const wide = (from) => (width !== from.width || left !== 0 || right !== width ? resample(from, weights(from.width, left, right, width), width, true) : from);
  const tall = (from) => (height !== from.height || top !== 0 || bottom !== height ? resample(from, weights(from.height, top, bottom, height), height, false) : from);
  const lost = image.height - height;
  return lost > 0 && lost > 2 * (image.width - width) ? wide(tall(image)) : tall(wide(image));
}

/** For each output: the first input it reads, and the integer weights of that and the following ones. */
function weights(side, first, last, length) {
  const scale = Math.fround(last - first) / length, stretch = Math.max(scale, 1);
  return Array.from({ length }, (_, place) => {
    const centre = first + (place + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - stretch + 0.5));
    const high = Math.min(side, Math.trunc(centre + stretch + 0.5));
    const taps = [];
    for (let i = low; i < high; i++) taps.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) * (1 / stretch))));
    const sum = taps.reduce((a, b) => a + b, 0);
    return { low, taps: taps.map((w) => Math.trunc(0.5 + (sum ? w / sum : w) * (1 << PRECISION))) };
  });
}

function resample(image, table, length, across) {
  const { data, height, width, channels } = image;
  const size = across ? { height, width: length } : { height: length, width };
  const out = new Uint8Array(size.height * size.width * channels);
  const step = across ? channels : width * channels; // from one input pixel to the next
  for (let y = 0, to = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const { low, taps } = table[across ? x : y];
      const start = across ? (y * width + low) * channels : (low * width + x) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 1 << (PRECISION - 1);
        for (let i = 0, from = start + c; i < taps.length; i++, from += step) sum += data[from] * taps[i];
        out[to++] = Math.min(255, Math.max(0, sum >> PRECISION));
      }
    }
  }
  return { data: out, ...size, channels };
}
