// Shows /openapi.json. Everything is put in as text, never as markup: descriptions are data.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const MAX_DEPTH = 5;

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function resolve(api, schema) {
  let current = schema || {};
  for (let steps = 0; current.$ref && steps < 20; steps += 1) {
    const name = current.$ref.split("/").pop();
    current = (api.components && api.components.schemas && api.components.schemas[name]) || {};
  }
  return current;
}

// A sketch of a value that fits the schema: names and types, not data.
function sketch(api, schema, depth = 0) {
  const found = resolve(api, schema);
  if (depth > MAX_DEPTH) return "…";
  if (found.const !== undefined) return found.const;
  if (found.enum) return found.enum.join(" | ");
  const choices = found.anyOf || found.oneOf;
  if (choices) {
    const shown = choices.filter((choice) => resolve(api, choice).type !== "null");
    return shown.length ? sketch(api, shown[0], depth + 1) : null;
  }
  if (found.allOf) {
    return Object.assign({}, ...found.allOf.map((part) => sketch(api, part, depth + 1)));
  }
  if (found.properties) {
    const required = new Set(found.required || []);
    const entries = Object.entries(found.properties).map(([name, value]) => [
      required.has(name) ? name : `${name}?`,
      sketch(api, value, depth + 1),
    ]);
    return Object.fromEntries(entries);
  }
  if (found.type === "array") return [sketch(api, found.items || {}, depth + 1)];
  if (found.type === "object") return {};
  return found.type || "any";
}

function schemaBlock(api, title, content) {
  const type = Object.keys(content || {})[0];
  if (!type) return null;
  const schema = content[type].schema;
  const known = schema && Object.keys(schema).length;
  const text = known ? JSON.stringify(sketch(api, schema), null, 2) : type;
  return make("div", "", make("h4", "", title), make("pre", "", text));
}

function example(path, method, operation) {
  const parts = ["curl"];
  if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  parts.push(`'${location.origin}${path}'`);
  if (operation.security) parts.push("-H 'Authorization: Bearer TOKEN'");
  if (operation.requestBody) parts.push("-H 'Content-Type: application/json' -d '{}'");
  return parts.join(" ");
}

function failures(operation) {
  const rows = Object.entries(operation.responses || {}).filter(([status]) => Number(status) >= 400);
  const table = make("table", "failure");
  for (const [status, response] of rows) {
    table.append(make("tr", "", make("td", "", status), make("td", "", response.description)));
  }
  return make("div", "", make("h4", "", "Problems"), table);
}

// Text with `names` in it as nodes; every second piece stood between backticks.
function prose(text) {
  return text.split("`").map((piece, index) => (index % 2 ? make("code", "", piece) : piece));
}

const NEEDS = { accessToken: "token", adminKey: "admin key" };

// Who may call: `{}` among the alternatives means that nobody needs to be signed in.
function lockOf(operation) {
  const names = (operation.security || []).map((item) => Object.keys(item)[0]);
  const needed = names.filter(Boolean).map((name) => NEEDS[name] || name).join(" or ");
  if (!needed) return null;
  return make("span", "lock", names.includes(undefined) ? `${needed}, optional` : needed);
}

function render(api, path, method, operation) {
  const name = make("span", `method ${method.toUpperCase()}`, method.toUpperCase());
  const about = make("span", "about", operation.summary || "");
  const head = make("summary", "", name, make("code", "", path), about, lockOf(operation));
  const inner = make("div", "inner");
  inner.append(make("p", "", ...prose(operation.description || "")));
  if (operation.parameters) {
    const table = make("table");
    for (const item of operation.parameters) {
      const schema = resolve(api, item.schema);
      const form = schema.pattern || schema.type || "";
      table.append(make("tr", "", make("td", "", make("code", "", item.name)), make("td", "", item.in), make("td", "", make("code", "", form))));
    }
    inner.append(make("h4", "", "Parameters"), table);
  }
  const body = operation.requestBody && schemaBlock(api, "Body", operation.requestBody.content);
  const good = operation.responses && operation.responses["200"];
  const answer = good && schemaBlock(api, "Answer", good.content);
  inner.append(...[body, answer].filter(Boolean));
  inner.append(failures(operation), make("h4", "", "Try"), make("pre", "", example(path, method, operation)));
  const details = make("details", "", head, inner);
  details.dataset.text = [path, operation.summary, operation.operationId, ...(operation.tags || [])].join(" ").toLowerCase();
  return details;
}

function show(api) {
  document.title = api.info.title;
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("about").textContent = api.info.description || "";
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((candidate) => item[candidate])) {
      const operation = item[method];
      const tag = (operation.tags && operation.tags[0]) || "other";
      if (!groups.has(tag)) groups.set(tag, make("section", "", make("h2", "", tag)));
      groups.get(tag).append(render(api, path, method, operation));
    }
  }
  document.getElementById("operations").replaceChildren(...groups.values());
  filter(document.getElementById("search").value);
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const element of document.querySelectorAll("details")) {
    element.hidden = !element.dataset.text.includes(wanted);
  }
  const sections = [...document.querySelectorAll("#operations section")];
  for (const section of sections) section.hidden = !section.querySelector("details:not([hidden])");
  document.getElementById("none").hidden = sections.some((section) => !section.hidden);
}

document.getElementById("search").addEventListener("input", (event) => filter(event.target.value));
fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch(() => {
    document.getElementById("operations").textContent = "The description could not be loaded.";
  });
