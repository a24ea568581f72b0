// The language of the user interface, French or English, and numbers, dates and durations in it.

import { updateBindings } from "./dom.js";
import { readSetting, writeSetting } from "./storage.js";

/** @typedef {"fr" | "en"} Language */

const preferred = navigator.languages.find((tag) => /^(fr|en)\b/i.test(tag)) ?? "en";

/** @type {Language} */
let current = readSetting("language") === "fr" || (!readSetting("language") && /^fr/i.test(preferred)) ? "fr" : "en";
document.documentElement.lang = current;

export const language = () => current;

/** Change the language of everything on the page. @param {Language} chosen */
export function setLanguage(chosen) {
  current = chosen;
  writeSetting("language", chosen);
  document.documentElement.lang = chosen;
  updateBindings(document);
  document.dispatchEvent(new CustomEvent("languagechange"));
}

/**
 * Return a function that returns the texts in the current language; both languages must have the same texts.
 *
 * @template {Record<string, any>} M
 * @param {{ en: M, fr: NoInfer<M> }} texts
 * @returns {() => M}
 */
export function translations(texts) {
  return () => texts[current];
}

/** @type {Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>} */
const formats = new Map();

/**
 * Return a format of the current language; making one takes a millisecond, so each is made once.
 *
 * @template {Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat} F
 * @param {string} name
 * @param {() => F} make
 * @returns {F}
 */
function format(name, make) {
  const key = `${current} ${name}`;
  const made = formats.get(key) ?? make();
  formats.set(key, made);
  return /** @type {F} */ (made);
}

/** @param {number} value */
export const formatNumber = (value, digits = 0) =>
  format(`number ${digits}`, () => new Intl.NumberFormat(current, { maximumFractionDigits: digits })).format(value);

/** Format a share from 0 to 1. @param {number | null | undefined} share */
export const formatPercent = (share, digits = 0) => (share === null || share === undefined ? "–"
  : format(`percent ${digits}`, () => new Intl.NumberFormat(current, {
    style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits,
  })).format(share));

/** Format a score such as F1 with three decimals. @param {number | null | undefined} score */
export const formatScore = (score) => (score === null || score === undefined ? "–"
  : format("score", () => new Intl.NumberFormat(current, { minimumFractionDigits: 3, maximumFractionDigits: 3 })).format(score));

/** @param {string | number | Date | null | undefined} moment */
export const formatDate = (moment) => (moment ? format("date", () => new Intl.DateTimeFormat(current, {
  dateStyle: "medium", timeStyle: "short",
})).format(new Date(moment)) : "–");

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** Format how long ago a moment was; after a month, its date. @param {string | number | null | undefined} moment */
export function formatAge(moment) {
  if (!moment) return "–";
  const seconds = (new Date(moment).getTime() - Date.now()) / 1000;
  if (Math.abs(seconds) > 30 * 86_400) return formatDate(moment);
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  const relative = format("age", () => new Intl.RelativeTimeFormat(current, { numeric: "auto", style: "short" }));
  return relative.format(Math.round(seconds / length), /** @type {Intl.RelativeTimeFormatUnit} */ (unit));
}
