// Photos of products, fetched once and kept as object URLs; the least recently used ones are released.

import { RequestFailed, send } from "./client.js";

const KEPT = 60;
/** Longest side of a photo beside its product, in pixels. */
export const SHOWN = 800;

/** @type {Map<string, Promise<string>>} */
const photos = new Map();

/**
 * Return the object URL of a photo; raise `RequestFailed` (404) if it was deleted.
 *
 * @param {string} sha256
 * @param {96 | 320 | 800} [size] Longest side of a thumbnail in pixels; without it the photo as it was sent.
 */
export function loadPhoto(sha256, size) {
  const key = `${sha256} ${size ?? ""}`;
  const found = photos.get(key) ?? fetchPhoto(sha256, size);
  photos.delete(key);
  photos.set(key, found);
  found.catch(() => photos.delete(key));
  const [oldest] = photos.keys();
  if (photos.size > KEPT && oldest !== undefined) {
    photos.get(oldest)?.then(URL.revokeObjectURL, () => {});
    photos.delete(oldest);
  }
  return found;
}

/** Fetch a photo before it is shown; a failure is told when it is. @param {string | null | undefined} sha256 */
export function prefetchPhoto(sha256) {
  if (sha256) loadPhoto(sha256, SHOWN).catch(() => {});
}

/** @param {string} sha256 @param {number} [size] */
async function fetchPhoto(sha256, size) {
  const response = await send(`photos/${sha256}`, { query: { size }, headers: { Accept: "image/*" } });
  const blob = await response.blob();
  if (!blob.type.startsWith("image/")) throw new RequestFailed(404, { detail: "not a photo" }, `photos/${sha256}`);
  return URL.createObjectURL(blob);
}
