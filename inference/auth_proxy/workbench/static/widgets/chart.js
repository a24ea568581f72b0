// Charts as SVG with a title, a legend by dash as well as color, and the table of their values behind them.

import { h, svg, uniqueId } from "../core/dom.js";
import { translations } from "../core/language.js";
import { dataTable } from "./data-table.js";

const WIDTH = 640;
const HEIGHT = 240;
const LEFT = 56;
const BOTTOM = 30;
const TOP = 10;
const RIGHT = 12;

const text = translations({ en: { table: "Values as a table" }, fr: { table: "Valeurs en tableau" } });

/** @typedef {{ label: () => string, values: (number | null)[] }} Series */

/**
 * Lines over categories or moments on the horizontal axis.
 *
 * @param {object} options
 * @param {() => string} options.title
 * @param {(() => string)[]} options.labels Of the horizontal axis, one per value.
 * @param {Series[]} options.series At most three.
 * @param {() => string} options.axis Name of the horizontal axis.
 * @param {(value: number) => string} options.format
 * @param {[number, number]} [options.range] Of the vertical axis; by default that of the values.
 */
export function lineChart({ title, labels, series, axis, format, range }) {
  const values = series.flatMap((one) => one.values).filter((value) => value !== null);
  const [low, high] = range ?? niceRange(values);
  const x = (/** @type {number} */ index) => LEFT + (labels.length < 2 ? 0.5 : index / (labels.length - 1)) * (WIDTH - LEFT - RIGHT);
  const y = (/** @type {number} */ value) => TOP + (1 - (value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const id = uniqueId("chart");
  const ticks = [low, (low + high) / 2, high];
  const every = Math.ceil(labels.length / 6);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-labelledby": id },
    svg("title", { id }, title),
    ticks.map((tick) => [
      svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }),
      svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, () => format(tick)),
    ]),
    labels.map((label, index) => (index % every === 0
      ? svg("text", { x: x(index), y: HEIGHT - 8, "text-anchor": index === 0 ? "start" : index === labels.length - 1 ? "end" : "middle" }, label) : null)),
    series.map(({ values: points }, number) => [
      svg("path", { class: `series series-${number + 1}`, d: path(points, x, y) }),
      labels.length > 40 ? null : points.map((value, index) => (value === null ? null
        : svg("circle", { class: `mark series-${number + 1}`, cx: x(index), cy: y(value), r: 3.5 }))),
    ]));
  return figure({ title, picture, series, labels, axis, format });
}

/**
 * Horizontal bars, one per label.
 *
 * @param {object} options
 * @param {() => string} options.title
 * @param {(() => string)[]} options.labels
 * @param {Series[]} options.series
 * @param {() => string} options.axis
 * @param {(value: number) => string} options.format
 */
export function barChart({ title, labels, series, axis, format }) {
  const thickness = 8;
  const gap = 6 + thickness * series.length;
  const height = labels.length * gap + TOP;
  const largest = Math.max(...series.flatMap((one) => one.values.map((value) => value ?? 0)), 1e-9);
  const id = uniqueId("chart");
  const start = 220;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-labelledby": id },
    svg("title", { id }, title),
    labels.map((label, row) => [
      svg("text", { x: start - 8, y: TOP + row * gap + 8, "text-anchor": "end" }, () => shortened(label())),
      series.map(({ values }, number) => svg("rect", {
        class: `block series-${number + 1}`, x: start, y: TOP + row * gap + number * thickness, height: thickness - 1,
        width: ((values[row] ?? 0) / largest) * (WIDTH - start - RIGHT),
      })),
    ]));
  return figure({ title, picture, series, labels, axis, format });
}

/** @param {string} label */
const shortened = (label) => (label.length > 28 ? `${label.slice(0, 27)}…` : label);

/** @param {(number | null)[]} points @param {(index: number) => number} x @param {(value: number) => number} y */
function path(points, x, y) {
  let pen = "M";
  return points.map((value, index) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const step = `${pen}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
    return step;
  }).join("");
}

/** @param {number[]} values @returns {[number, number]} */
function niceRange(values) {
  if (values.length === 0) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low) * 0.1 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
}

/**
 * @param {{ title: () => string, picture: Element, series: Series[], labels: (() => string)[], axis: () => string,
 *   format: (value: number) => string }} parts
 */
function figure({ title, picture, series, labels, axis, format }) {
  const columns = [
    { title: axis, cell: (/** @type {number} */ row) => labels[row], heading: true },
    ...series.map(({ label, values }) => ({
      title: label, numeric: true,
      cell: (/** @type {number} */ row) => { const value = values[row]; return () => (value === null ? "–" : format(value)); },
    })),
  ];
  return h("figure", { class: "figure panel" }, h("figcaption", {}, h("h3", {}, title)), picture,
    series.length > 1 ? h("div", { class: "legend" }, series.map(({ label }, number) => h("span", {},
      svg("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" }, svg("path", { class: `series series-${number + 1}`, d: "M0 6L24 6" })), " ", label))) : null,
    h("details", { class: "small" }, h("summary", {}, () => text().table), dataTable(title, columns, labels.map((_, row) => row)).element));
}
