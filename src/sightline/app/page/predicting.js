// Images that are dropped → the answer of the run's model, drawn and in words.

import { askJson, byId, element, pause, state } from "./common.js";
import { colourOf, drawPrediction, readClassMask } from "./drawing.js";

const STATES = { none: "", exporting: "The model is being exported, which happens once. You can drop images already.", loading: "The model is being loaded.", ready: "" };

// What is known of the model without preparing it: looking at results exports nothing.
export async function showModel(name) {
  try {
    const model = await askJson("model", { name });
    if (state.name !== name || state.model) return;
    if (model.state === "none") byId("model-state").textContent = "The model is prepared at the first image; a run is exported then, once.";
    else await prepare(name);
  } catch (error) {
    byId("model-state").textContent = error.message;
  }
}

async function prepare(name) {
  if (state.model || state.preparing === name) return;
  state.preparing = name;
  try {
    let model = await askJson("model", { name }, { method: "POST" });
    while (state.name === name && model.state !== "ready" && model.state !== "failed") {
      byId("model-state").textContent = STATES[model.state];
      await pause(1);
      model = await askJson("model", { name });
    }
    if (state.name !== name) return;
    byId("model-state").className = model.state === "failed" ? "error" : "soft";
    byId("model-state").textContent = model.state === "failed" ? model.error : namesOf(model.classes);
    if (model.state !== "ready") return;
    state.model = model;
    byId("conf").value = model.threshold ?? 0.5;
    showConf();
  } catch (error) {
    byId("model-state").textContent = error.message;
  } finally {
    if (state.preparing === name) state.preparing = null;
  }
}

function namesOf(classes) {
  const names = classes.slice(0, 12).join(", ");
  return `${classes.length} ${classes.length === 1 ? "class" : "classes"}: ${names}${classes.length > 12 ? " …" : ""}`;
}

// When another run is opened.
export function clearPredictions() {
  clearImages();
  byId("conf-label").hidden = true;
  byId("model-state").textContent = "";
}

export async function predict(files) {
  byId("clear").hidden = false;
  prepare(state.name);
  for (const file of files) {
    const item = element("li", {}, element("div", {}, element("p", { class: "soft" }, "…")), element("div", {}, element("p", { class: "file" }, file.name)));
    byId("predictions").prepend(item);
    await predictOne(file, item, state.name);
  }
}

async function predictOne(file, item, name) {
  const [left, right] = item.children;
  try {
    while (!state.model) {
      if (state.name !== name) return;
      if (byId("model-state").className === "error") throw new Error("there is no model to predict with");
      await pause(0.3);
    }
    // Every box that the model keeps comes back, and the slider chooses among them.
    const request = { method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream" } };
    const { predictions: [row] } = await askJson("predictions", { name }, request);
    if (row.error) throw new Error(row.error);
    const bitmap = await createImageBitmap(file);
    const mask = row.mask ? await readClassMask(row.mask) : null;
    const canvas = element("canvas", { role: "img", "aria-label": `Prediction for ${file.name}` });
    left.replaceChildren(canvas);
    const shown = { canvas, bitmap, row, mask, right, file };
    state.drawn.push(shown);
    byId("conf-label").hidden = !row.boxes;
    show(shown);
  } catch (error) {
    left.replaceChildren(element("p", { class: "error" }, error.message));
  }
}

export function show({ canvas, bitmap, row, mask, right, file }) {
  const conf = Number(byId("conf").value), classes = state.model.classes;
  drawPrediction(canvas, bitmap, row, classes, conf, mask);
  right.replaceChildren(element("p", { class: "file" }, file.name), ...answerParts(row, classes, conf));
}

function answerParts(row, classes, conf) {
  if (row.boxes) {
    const boxes = row.boxes.filter((box) => box.score >= conf);
    const counts = Map.groupBy(boxes, (box) => box.label);
    const lines = [...counts].map(([label, group]) => bar(label, Math.max(...group.map((box) => box.score)), colourOf(classes, label), `${group.length} ×`));
    return [element("p", { class: "answer" }, boxes.length === 1 ? "1 object" : `${boxes.length} objects`), ...lines];
  }
  if (row.shares) {
    const shares = Object.entries(row.shares).filter(([, share]) => share > 0).sort((a, b) => b[1] - a[1]);
    return [element("p", { class: "answer" }, "Share of the pixels"), ...shares.map(([label, share]) => bar(label, share, colourOf(classes, label)))];
  }
  if (row.top) return [element("p", { class: "answer" }, row.label), ...row.top.map(([label, probability]) => bar(label, probability))];
  const values = Object.entries(row).filter(([, value]) => typeof value !== "object");
  return values.map(([key, value]) => element("p", {}, `${key}: ${value}`));
}

function bar(label, share, colour, before = "") {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", "0 0 100 10");
  picture.setAttribute("preserveAspectRatio", "none");
  const rectangle = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rectangle.setAttribute("width", Math.max(0.5, 100 * share));
  rectangle.setAttribute("height", 10);
  if (colour) rectangle.style.fill = colour;
  picture.append(rectangle);
  return element("div", { class: "bar" }, element("span", {}, [before, label].filter(Boolean).join(" ")), picture, element("span", { class: "number" }, `${(100 * share).toFixed(1)} %`));
}

export function showConf() {
  byId("conf-value").textContent = `${Math.round(100 * byId("conf").value)} %`;
}

export function clearImages() {
  byId("predictions").replaceChildren();
  byId("clear").hidden = true;
  state.drawn = [];
}
