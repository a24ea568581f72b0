// The taxonomy in service: labels by code, search, and the categories that were chosen last.

import { language } from "../core/language.js";
import { readList, writeSetting } from "../core/storage.js";
import { request } from "./client.js";

const RECENT = 5;

/** @type {Map<string, Category>} */
const known = new Map();
/** @type {Promise<Taxonomy> | null} */
let complete = null;

/** @param {Category[]} categories */
const learn = (categories) => categories.forEach((one) => known.set(String(one.code), one));

/** Load the whole taxonomy, once. @returns {Promise<Taxonomy>} */
export function loadTaxonomy() {
  complete ??= request("categories").then((found) => {
    learn(found.categories);
    return found;
  }).catch((error) => {
    complete = null;
    throw error;
  });
  return complete;
}

/** Forget the taxonomy, after a change of it or of the release. */
export function forgetTaxonomy() {
  complete = null;
}

/** Search by code, label and synonym, best first. @param {string} query @param {AbortSignal} [signal] @returns {Promise<Category[]>} */
export async function searchCategories(query, signal) {
  const { categories } = await request("categories", { query: { q: query }, signal });
  learn(categories);
  return categories;
}

/** Return a category that was loaded. @param {Code | null | undefined} code */
export const findCategory = (code) => (code === null || code === undefined ? undefined : known.get(String(code)));

/** Return the label of a category in the language of the user. @param {Category} category */
export const labelOf = (category) => category.labels[language()] || Object.values(category.labels)[0] || String(category.code);

/** Return the label of a code; `given` is what a response says. @param {Code | null | undefined} code @param {string} [given] */
export function labelOfCode(code, given = "") {
  const category = findCategory(code);
  return category ? labelOf(category) : given || String(code ?? "");
}

/** Return the path above a category, from the root. @param {Category} category */
export function pathOf(category) {
  const labels = [];
  const passed = new Set([category.code]);
  for (let above = findCategory(category.parent); above && !passed.has(above.code); above = findCategory(above.parent)) {
    passed.add(above.code);
    labels.unshift(labelOf(above));
  }
  return labels.length > 0 ? labels.join(" › ") : (category.path ?? []).slice(0, -1).join(" › ");
}

/** Return the guideline of a category in the language of the user, empty if it has none. @param {Category | undefined} category */
export function guidelineOf(category) {
  const guidelines = category?.guidelines ?? {};
  return guidelines[language()] || guidelines.und || Object.values(guidelines)[0] || "";
}

/** Return the categories that were chosen last in this browser. */
export const recentCategories = () => readList("recent").flatMap((code) => known.get(code) ?? []);

/** @param {Code} code */
export function rememberCategory(code) {
  const codes = [String(code), ...readList("recent").filter((one) => one !== String(code))];
  writeSetting("recent", JSON.stringify(codes.slice(0, RECENT)));
}
