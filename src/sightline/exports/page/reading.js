// A file → upright pixels, by the rules of `preprocessing.pixels`: alpha over the background, colour to luminance.

/** {data, height, width, channels} of an image file; EXIF orientation applied, colour profiles ignored. */
async function readImage(blob, channels, background) {
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(blob, options);
  const { height, width } = bitmap;
  const canvas = Object.assign(document.createElement("canvas"), { height, width });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  let rgba = context.getImageData(0, 0, width, height).data;
  if (rgba.some((value, i) => i % 4 === 3 && value < 255)) rgba = straightPixels(bitmap) ?? rgba;
  bitmap.close();
  return { data: flatten(rgba, channels, background), height, width, channels };
}

/** The pixels as they are stored: a canvas multiplies them by alpha, which loses bits. WebGL does not. */
function straightPixels(bitmap) {
  const gl = document.createElement("canvas").getContext("webgl");
  if (!gl || Math.max(bitmap.width, bitmap.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const out = new Uint8Array(bitmap.width * bitmap.height * 4);
  gl.readPixels(0, 0, bitmap.width, bitmap.height, gl.RGBA, gl.UNSIGNED_BYTE, out);
  gl.getExtension("WEBGL_lose_context")?.loseContext(); // browsers keep only a few contexts
  return out;
}

/** RGBA → `channels` bytes a pixel. */
function flatten(rgba, channels, background) {
  const n = rgba.length / 4, out = new Uint8Array(n * channels);
  for (let i = 0; i < n; i++) {
    const alpha = rgba[4 * i + 3];
    const over = (c) => Math.floor((rgba[4 * i + c] * alpha + background[c] * (255 - alpha) + 127) / 255);
    const [r, g, b] = [over(0), over(1), over(2)];
    if (channels === 1) out[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    else out.set([r, g, b], 3 * i);
  }
  return out;
}
