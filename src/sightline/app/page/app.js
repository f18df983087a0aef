// The page: a list of runs, and of one run its predictions, results, data, report and pictures.

import { ask, askJson, byId, element, state } from "./common.js";
import { clearImages, clearPredictions, predict, show, showConf, showModel } from "./predicting.js";

// Runs

async function loadRuns() {
  try {
    const { runs } = await askJson("runs");
    byId("token-form").hidden = true;
    listRuns(runs);
    if (state.name === null) openFirst(runs);
  } catch (error) {
    if (error.status === 401) {
      byId("token-form").hidden = false;
      say(sessionStorage.getItem("token") ? "The token was not accepted." : "");
    } else say(error.message, true);
  }
}

function say(text, failed = false) {
  byId("message").textContent = text;
  byId("message").className = failed ? "error" : "soft";
  byId("message").hidden = !text;
}

let listed = "";

function listRuns(runs) {
  if (listed === (listed = JSON.stringify(runs))) return;  // or the focus would be lost
  const list = byId("runs"), choice = byId("choice");
  list.replaceChildren();
  choice.replaceChildren();
  for (const run of runs) {
    const open = () => openRun(run.name);
    list.append(element("li", {}, element("button", { type: "button", "data-name": run.name, onclick: open },
      run.name, element("span", { class: "soft" }, oneLine(run)))));
    choice.append(element("option", { value: run.name }, run.name));
  }
  markCurrent();
}

function markCurrent() {
  byId("choice").value = state.name ?? "";
  for (const button of byId("runs").querySelectorAll("button")) button.setAttribute("aria-current", button.dataset.name === state.name);
}

function openFirst(runs) {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("run");
  const first = runs.find((run) => run.name === wanted) ?? runs[0];
  if (first) openRun(first.name);
  else say("There are no runs here yet. Train one: sightline train photos/");
}

const HEADLINES = ["accuracy", "mean_iou", "mask_ap", "ap", "mean_ap", "mae"];

function oneLine(run) {
  if (run.error) return run.error;
  const metrics = run.metrics ?? {};
  const headline = HEADLINES.find((name) => name in metrics) ?? Object.keys(metrics).find((name) => name !== "loss");
  const parts = [run.model, run.smoke ? "rehearsal" : run.state === "finished" ? null : run.state];
  if (headline && !run.smoke) parts.push(`${run.split} ${words(headline)} ${figure(headline, metrics[headline])}`);
  return parts.filter(Boolean).join(" · ");
}

const SHARES = /accuracy|iou|dice|^m?_?f1|_f1$|^ap|ap$|ap50|ap75|precision|recall|boundary_f|auc|^ece$/;
const ABBREVIATIONS = /^(ap\d*|auc|ece|mcc|f1|mae|rmse|r2)$/;
const words = (name) => name.split("_").map((word) => (word === "iou" ? "IoU" : ABBREVIATIONS.test(word) ? word.toUpperCase() : word)).join(" ");
const figure = (name, value) => (SHARES.test(name) ? `${(100 * value).toFixed(1)} %` : value.toPrecision(4));

async function openRun(name) {
  Object.assign(state, { name, details: null, model: null, drawn: [] });
  history.replaceState(null, "", `#${new URLSearchParams({ run: name })}`);
  markCurrent();
  clearPredictions();
  try {
    const details = await askJson("run", { name });
    if (state.name !== name) return;
    state.details = details;
    say("");
    showRun(details);
  } catch (error) {
    byId("run").hidden = true;
    say(error.message, true);
  }
}

function showRun(run) {
  byId("run").hidden = false;
  byId("title").textContent = run.name;
  const parameters = run.parameters ? `${run.parameters.toLocaleString("en")} parameters` : null;
  const facts = [run.task, run.model, parameters, run.state === "finished" ? null : run.state, run.smoke ? "a rehearsal: its figures mean nothing" : null];
  byId("facts").textContent = run.error ?? facts.filter(Boolean).join(" · ");
  byId("facts").className = run.error ? "error" : "soft";
  const usable = run.state === "finished" || run.state === "export";
  const has = { predict: usable, results: Boolean(run.metrics), data: Boolean(run.data), report: run.report, pictures: run.pictures.length > 0 };
  for (const tab of tabs()) tab.disabled = !has[tab.getAttribute("aria-controls")];
  showTab(has[state.tab] ? state.tab : Object.keys(has).find((key) => has[key]));
}

// Tabs

const tabs = () => [...byId("tabs").children];

function showTab(id) {
  for (const tab of tabs()) {
    const chosen = tab.getAttribute("aria-controls") === id;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (!id) return;
  state.tab = id;
  const run = state.details;
  if (id === "predict") showModel(run.name);
  if (id === "results") byId("results").replaceChildren(resultTable(run));
  if (id === "data") byId("data").replaceChildren(...dataParts(run.data));
  if (id === "report") byId("report").replaceChildren(...reportParts(run));
  if (id === "pictures") showPictures(run);
}

function resultTable(run) {
  const rows = Object.entries(run.metrics).map(([name, value]) =>
    element("tr", {}, element("td", {}, words(name)), element("td", { class: "number" }, figure(name, value))));
  const images = run.images ? `, ${run.images.toLocaleString("en")} images` : "";
  return element("div", {}, element("h3", {}, `The ${run.split} split${images}`),
    element("table", {}, element("tbody", {}, ...rows)),
    element("p", { class: "soft" }, run.report ? "Intervals and classes are in the report." : ""));
}

function dataParts(data) {
  const splits = ["train", "val", "test"];
  const cell = (value) => element("td", { class: "number" }, (value ?? 0).toLocaleString("en"));
  const rows = Object.entries(data.counts ?? {}).slice(0, 200).map(([label, counts]) =>
    element("tr", {}, element("td", {}, label), ...splits.map((split) => cell(counts[split]))));
  const head = element("tr", {}, element("th", {}, "class"), ...splits.map((split) => element("th", { class: "number" }, split)));
  const problems = (data.problems ?? []).map((problem) =>
    element("li", {}, typeof problem === "string" ? problem : Object.values(problem).filter((value) => typeof value !== "object").join(" · ")));
  const more = (data.problems_total ?? 0) - problems.length;
  if (more > 0) problems.push(element("li", {}, `and ${more.toLocaleString("en")} more`));
  return [
    element("p", {}, `${(data.n ?? 0).toLocaleString("en")} items, ${(data.quarantined ?? 0).toLocaleString("en")} of them not used`),
    element("h3", {}, "Classes"), element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))),
    element("h3", {}, "Problems"), problems.length ? element("ul", { class: "notes" }, ...problems) : element("p", { class: "soft" }, "None was found."),
    element("h3", {}, "How the data were read"), element("ul", { class: "notes" }, ...(data.notes ?? []).map((note) => element("li", {}, note))),
  ];
}

function reportParts(run) {
  const address = `report?${new URLSearchParams({ name: run.name, ticket: run.ticket })}`;
  return [
    element("p", {}, element("a", { href: address, target: "_blank", rel: "noopener" }, "Open in a tab of its own")),
    element("iframe", { src: address, title: `Report of ${run.name}` }),
  ];
}

async function showPictures(run) {
  byId("pictures").replaceChildren();
  for (const file of run.pictures) {
    try {
      const image = URL.createObjectURL(await (await ask("picture", { name: run.name, file })).blob());
      if (state.name !== run.name) return;
      byId("pictures").append(element("figure", {}, element("img", { src: image, alt: file }), element("figcaption", {}, file)));
    } catch (error) {
      byId("pictures").append(element("p", { class: "error" }, `${file}: ${error.message}`));
    }
  }
}

// Events

byId("choice").addEventListener("change", (event) => openRun(event.target.value));
byId("files").addEventListener("change", (event) => predict([...event.target.files]).then(() => { event.target.value = ""; }));
byId("clear").addEventListener("click", clearImages);
byId("conf").addEventListener("input", () => { showConf(); state.drawn.forEach(show); });
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", byId("token").value);
  loadRuns();
setInterval(() => { if (!document.hidden && byId("token-form").hidden) loadRuns(); }, 1000 * 20);  // a training goes on
});
byId("tabs").addEventListener("click", (event) => { if (event.target.getAttribute("role") === "tab") showTab(event.target.getAttribute("aria-controls")); });
byId("tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const usable = tabs().filter((tab) => !tab.disabled);
  if (!step || !usable.length) return;
  const next = usable[(usable.findIndex((tab) => tab.tabIndex === 0) + step + usable.length) % usable.length];
  showTab(next.getAttribute("aria-controls"));
  next.focus();
});

// Anywhere on the page, so that an image that misses the field does not replace the page.
addEventListener("dragover", (event) => { event.preventDefault(); byId("drop").classList.add("over"); });
addEventListener("dragleave", () => byId("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (files.length && state.details && !tabs()[0].disabled) {
    if (state.tab !== "predict") showTab("predict");
    predict(files);
  }
});

loadRuns();
setInterval(() => { if (!document.hidden && byId("token-form").hidden) loadRuns(); }, 1000 * 20);  // a training goes on
