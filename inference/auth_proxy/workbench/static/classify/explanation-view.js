// Why a product was classified as it was: words by their contribution, and regions of the photo.

import { h, svg } from "../core/dom.js";
import { common } from "../core/messages.js";
import { ProductPhoto } from "../widgets/product-photo.js";
import { text } from "./messages.js";

/**
 * Return a text with its words marked.
 *
 * @param {string} source
 * @param {Word[]} words Positions are Unicode code points.
 */
function markedText(source, words) {
  const points = [...source];
  const largest = Math.max(...words.map(({ contribution }) => Math.abs(contribution)), 1e-9);
  const parts = /** @type {Child[]} */ ([]);
  let end = 0;
  for (const word of [...words].sort((a, b) => a.start - b.start)) {
    if (word.start < end) continue;
    const mark = h("span", { class: word.contribution < 0 ? "word against" : "word", title: word.contribution.toFixed(3) },
      points.slice(word.start, word.end).join(""));
    mark.style.setProperty("--weight", String(Math.abs(word.contribution) / largest));
    parts.push(points.slice(end, word.start).join(""), mark);
    end = word.end;
  }
  return [...parts, points.slice(end).join("")];
}

/** @param {number[][]} grid Drops of the probability by rows of regions of the square around the photo. */
function regions(grid) {
  const largest = Math.max(...grid.flat(), 1e-9);
  const width = Math.max(...grid.map((row) => row.length), 1);
  return svg("svg", { class: "regions", viewBox: `0 0 ${width} ${grid.length}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    grid.flatMap((row, y) => row.map((drop, x) =>
      svg("rect", { x, y, width: 1, height: 1, "fill-opacity": Math.max(0, drop / largest) * 0.55 }))));
}

/**
 * @param {Explanation | null | undefined} explanation
 * @param {string | null | undefined} problem
 * @param {{ designation: string, description: string, photoUrl: string }} product
 */
export function explanationView(explanation, problem, product) {
  if (!explanation) return h("p", { class: "callout small" }, () => `${text().noExplanation}: ${problem ?? ""}`);
  const words = explanation.text?.words ?? [];
  const of = (/** @type {Word["field"]} */ field) => words.filter((word) => word.field === field);
  return h("section", { class: "stack" }, h("h2", {}, () => text().why),
    words.length > 0 ? h("div", { class: "stack tight" }, h("h3", {}, () => text().words),
      h("p", { lang: "fr", class: "strong" }, markedText(product.designation, of("designation"))),
      product.description ? h("p", { lang: "fr", class: "product-text" }, markedText(product.description, of("description"))) : null)
      : explanation.text && h("p", { class: "small soft" }, () => text().whole),
    explanation.image && product.photoUrl ? h("div", { class: "stack tight" }, h("h3", {}, () => text().regions),
      h("div", { class: "product" }, photoWithRegions(product.photoUrl, explanation.image.grid, product.designation))) : null);
}

/** @param {string} url @param {number[][]} grid @param {string} name */
function photoWithRegions(url, grid, name) {
  const photo = new ProductPhoto().showUrl(url, () => name || common().untitled);
  photo.append(regions(grid));
  return photo;
}
