// The first rows of a CSV (RFC 4180) as they arrive; the rest of the file is not fetched.

/** @param {Response} response @param {number} limit @returns {Promise<string[][]>} */
export async function firstRows(response, limit) {
  if (!response.body) return [];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let source = "";
  for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    source += value;
    if (source.split("\n").length > limit + 1) break;
  }
  await reader.cancel();
  return parseCsv(source).slice(0, limit + 1);
}

/** @param {string} source @returns {string[][]} */
export function parseCsv(source) {
  const rows = [];
  /** @type {string[]} */
  let row = [];
  for (const match of source.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    const [all, quoted, plain, end] = match;
    if (all === "" && row.length === 0) break;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ",") {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}
