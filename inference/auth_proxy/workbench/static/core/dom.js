// Creates DOM nodes. A function in the place of a text or an attribute is a binding: it is evaluated again by
// `updateBindings`, which is how a page changes its language without losing what was typed.

const SVG = "http://www.w3.org/2000/svg";

/** @type {WeakMap<Node, (() => void)[]>} */
const bindings = new WeakMap();

/** @param {Node} node @param {() => void} update */
function bind(node, update) {
  update();
  bindings.set(node, [...(bindings.get(node) ?? []), update]);
}

/** @param {Element} element @param {string} name @param {Value} value */
function setAttribute(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** @param {Element} element @param {Attributes} attributes */
function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value !== "function") setAttribute(element, name, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else bind(element, () => setAttribute(element, name, /** @type {() => Value} */ (value)()));
  }
}

/** @param {Child} child @returns {Node[]} */
function toNodes(child) {
  if (Array.isArray(child)) return child.flatMap(toNodes);
  if (child instanceof Node) return [child];
  if (typeof child === "function") {
    const text = document.createTextNode("");
    bind(text, () => { text.data = String(child() ?? ""); });
    return [text];
  }
  return child === null || child === undefined || child === false ? [] : [document.createTextNode(String(child))];
}

/**
 * Create an HTML element; attributes named `on…` are listeners.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children.flatMap(toNodes));
  return element;
}

/**
 * Create an SVG element.
 *
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  element.append(...children.flatMap(toNodes));
  return element;
}

/** Replace the children of an element. @param {Element} element @param {...Child} children */
export function fill(element, ...children) {
  element.replaceChildren(...children.flatMap(toNodes));
}

/** Evaluate the bindings of a tree again. @param {Node} root */
export function updateBindings(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = /** @type {Node | null} */ (root); node; node = walker.nextNode()) {
    bindings.get(node)?.forEach((update) => update());
  }
}

let lastId = 0;

/** Return an id that no other element of the page has. @param {string} prefix */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}
