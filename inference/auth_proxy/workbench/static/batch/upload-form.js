// Send a file: its kind by its name, its columns where they are not recognized.

import { request } from "../api/client.js";
import { explain, technicalDetail } from "../api/problems.js";
import { fill, h } from "../core/dom.js";
import { notify } from "../shell/notices.js";
import { labelled } from "../widgets/labelled.js";
import { text } from "./messages.js";

const KINDS = /** @type {Record<string, string>} */ ({ csv: "text/csv", zip: "application/zip" });
const COLUMNS = /** @type {const} */ (["id", "designation", "description", "image"]);

/** @param {() => void} uploaded @param {AbortSignal} signal */
export function uploadForm(uploaded, signal) {
  const file = h("input", { type: "file", accept: ".csv,.zip,text/csv,application/zip" });
  const columns = COLUMNS.map((name) => ({ name, field: h("input", { spellcheck: "false", maxlength: 200 }) }));
  const send = h("button", { class: "primary", id: "upload" }, () => text().upload);
  const status = h("div", { "aria-live": "polite" });
  const drop = h("div", {
    class: "drop",
    ondragover: (event) => { event.preventDefault(); drop.classList.add("over"); },
    ondragleave: () => { drop.classList.remove("over"); },
    ondrop: (event) => { event.preventDefault(); drop.classList.remove("over"); upload(event.dataTransfer?.files[0]); },
  }, labelled(() => text().file, file), h("p", { class: "small soft" }, () => text().drop));

  /** @param {File | undefined} chosen */
  async function upload(chosen) {
    const type = chosen && KINDS[chosen.name.split(".").at(-1)?.toLowerCase() ?? ""];
    if (!chosen || !type) {
      fill(status, h("p", { class: "callout bad", role: "alert" }, () => (chosen ? text().notAFile : text().noFile), chosen ? `: ${chosen.name}` : ""));
      return;
    }
    send.disabled = true;
    fill(status, h("p", { class: "callout" }, () => text().uploading), h("progress", { "aria-label": () => text().uploading }));
    try {
      const query = Object.fromEntries(columns.map(({ name, field }) => [name, field.value.trim()]));
      await request("batches", { method: "POST", query: { name: chosen.name, ...query }, body: chosen, headers: { "Content-Type": type }, signal });
      status.replaceChildren();
      file.value = "";
      notify(() => text().started, { kind: "good", detail: chosen.name });
      uploaded();
    } catch (error) {
      if (!signal.aborted) fill(status, h("p", { class: "callout bad", role: "alert" }, () => explain(error), " ", h("span", { class: "small" }, technicalDetail(error))));
    }
    send.disabled = false;
  }

  return h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); upload(file.files?.[0]); } }, drop,
    h("details", {}, h("summary", {}, () => text().mapping),
      h("div", { class: "filters" }, columns.map(({ name, field }) => labelled(() => text().columns[name], field)))),
    h("div", { class: "row" }, send), status);
}
