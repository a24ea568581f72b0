// The pages of the workbench: their role, and the module that is loaded when one is opened.

import { translations } from "../core/language.js";

/**
 * @typedef {object} PageContext
 * @property {URLSearchParams} query Filters in the address.
 * @property {AbortSignal} signal Aborted when the user leaves the page.
 */
/** @typedef {(main: HTMLElement, context: PageContext) => void | Promise<void>} Mount */
/** @typedef {{ name: string, role: import("../api/session.js").Role, load: () => Promise<{ mount: Mount }> }} PageEntry */

export const pageTitles = translations({
  en: {
    classify: "Classify", batch: "Batch", queue: "Queue", review: "Review", quality: "Quality", releases: "Releases",
    training: "Training", taxonomy: "Taxonomy", users: "Users", mine: "My work",
  },
  fr: {
    classify: "Classer", batch: "Lot", queue: "File", review: "Relecture", quality: "Qualité", releases: "Versions",
    training: "Entraînement", taxonomy: "Taxonomie", users: "Utilisateurs", mine: "Mon travail",
  },
});

/** @type {PageEntry[]} */
export const PAGES = [
  { name: "classify", role: "user", load: () => import("../classify/classify-page.js") },
  { name: "batch", role: "user", load: () => import("../batch/batch-page.js") },
  { name: "queue", role: "user", load: () => import("../queue/queue-page.js") },
  { name: "review", role: "reviewer", load: () => import("../review/review-page.js") },
  { name: "quality", role: "reviewer", load: () => import("../quality/quality-page.js") },
  { name: "releases", role: "reviewer", load: () => import("../releases/releases-page.js") },
  { name: "training", role: "admin", load: () => import("../training/training-page.js") },
  { name: "taxonomy", role: "reviewer", load: () => import("../taxonomy/taxonomy-page.js") },
  { name: "users", role: "admin", load: () => import("../users/users-page.js") },
  { name: "mine", role: "user", load: () => import("../mine/mine-page.js") },
];

/** @param {string} name */
export const pageTitle = (name) => /** @type {Record<string, string>} */ (pageTitles())[name] ?? name;
