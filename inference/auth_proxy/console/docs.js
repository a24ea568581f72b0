"use strict";

function element(tag, text = "", children = []) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.append(...children);
  return made;
}

// Replaces references by their targets, a few levels deep, so that cycles end.
function resolved(document_, value, depth = 6) {
  if (Array.isArray(value)) return value.map((one) => resolved(document_, one, depth));
  if (value === null || typeof value !== "object" || depth === 0) return value;
  if (value.$ref) return resolved(document_, value.$ref.slice(2).split("/").reduce((at, key) => at[key], document_), depth - 1);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(document_, one, depth)]));
}

function media(document_, content) {
  return Object.entries(content || {}).map(([type, { schema, example }]) => {
    const details = element("details", "", [element("summary", type)]);
    if (example) details.append(element("pre", JSON.stringify(example, null, 2)));
    details.append(element("pre", JSON.stringify(resolved(document_, schema || {}), null, 2)));
    return details;
  });
}

function operation(document_, path, method, about) {
  const section = element("section", "", [element("h2", `${method.toUpperCase()} ${path}`)]);
  section.append(element("p", about.description || about.summary || ""));
  section.append(element("p", about["x-role"] ? `role: ${about["x-role"]}` : "no role required"));
  if (about.requestBody) section.append(element("h3", "Body"), ...media(document_, about.requestBody.content));
  section.append(element("h3", "Responses"));
  const rows = Object.entries(about.responses).map(([status, answer]) => {
    const cell = element("td", answer.description || "", media(document_, answer.content));
    return element("tr", "", [element("th", status), cell]);
  });
  section.append(element("table", "", rows));
  return section;
}

fetch("/openapi.json").then((reply) => reply.json()).then((document_) => {
  const main = document.getElementById("main");
  const sections = Object.entries(document_.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => operation(document_, path, method, about)));
  main.replaceChildren(element("h1", `${document_.info.title} ${document_.info.version}`), ...sections);
}).catch(() => { document.getElementById("loading").textContent = "openapi.json?"; });
