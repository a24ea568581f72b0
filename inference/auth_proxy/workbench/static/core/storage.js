// What this browser remembers: settings for good, drafts until the tab is closed. Both work without storage.

/** @param {() => Storage} storage */
function guarded(storage) {
  return {
    /** @param {string} name @returns {string | null} */
    read(name) {
      try { return storage().getItem(`workbench.${name}`); } catch { return null; }
    },
    /** @param {string} name @param {string} value */
    write(name, value) {
      try {
        if (value) storage().setItem(`workbench.${name}`, value);
        else storage().removeItem(`workbench.${name}`);
      } catch { /* full or refused: nothing is remembered */ }
    },
  };
}

const settings = guarded(() => localStorage);
const drafts = guarded(() => sessionStorage);

export const readSetting = settings.read;
export const writeSetting = settings.write;
export const readDraft = drafts.read;
export const writeDraft = drafts.write;

/** Return a list of strings that was remembered. @param {string} name @returns {string[]} */
export function readList(name) {
  try {
    const found = JSON.parse(readSetting(name) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** Keep what is typed into a field until it is sent. @param {HTMLInputElement | HTMLTextAreaElement} field @param {string} name */
export function keepDraft(field, name) {
  field.value = readDraft(name) ?? "";
  field.addEventListener("input", () => writeDraft(name, field.value));
}
