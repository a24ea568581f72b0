// The page and its filters are in the fragment of the address, `#/review?state=pending`: a reload or a shared link
// keeps the place, and the workbench works under any path.

/** @typedef {{ page: string, query: URLSearchParams }} Place */

/** Return the place that the address names. @returns {Place} */
export function currentPlace() {
  const [page = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { page, query: new URLSearchParams(query) };
}

/** @param {string} page @param {Record<string, string> | URLSearchParams} [query] */
export function placeUrl(page, query = {}) {
  const text = new URLSearchParams(query).toString();
  return `#/${page}${text ? `?${text}` : ""}`;
}

/** @param {string} page @param {Record<string, string>} [query] */
export function navigate(page, query = {}) {
  location.hash = placeUrl(page, query);
}

/**
 * Write filters into the address without loading the page again; empty ones are left out.
 *
 * @param {Record<string, string | null | undefined>} query
 */
export function rememberFilters(query) {
  const { page } = currentPlace();
  const given = Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : []));
  history.replaceState(null, "", placeUrl(page, Object.fromEntries(given)));
}
