// What the modules of the page share: its state, elements, requests.

export const byId = (id) => document.getElementById(id);

// `model` is that of the run, once it is ready; `drawn` are the predictions on the page.
export const state = { name: null, details: null, model: null, preparing: null, drawn: [], tab: "predict" };

// Text from runs is put into the page as text, never as markup.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

class Failure extends Error {
  constructor(status, error) {
    super([error.message, error.hint].filter(Boolean).join("; "));
    this.status = status;
  }
}

export async function ask(path, values = {}, options = {}) {
  const query = new URLSearchParams(values).toString();
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(query ? `${path}?${query}` : path, { ...options, headers });
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new Failure(answer.status, body.error ?? { message: `the server answered ${answer.status}` });
}

export const askJson = async (...request) => (await ask(...request)).json();
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
