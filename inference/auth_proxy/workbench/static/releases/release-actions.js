// Promote a release, roll back, or send it a part of the requests; the result is followed until it is known.

import { request } from "../api/client.js";
import { forgetTaxonomy } from "../api/categories.js";
import { h } from "../core/dom.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { confirmed } from "../widgets/confirm-dialog.js";
import { text } from "./messages.js";

const POLL_MS = 1500;
const CANARY_SHARE = 0.1;

/** @param {() => void} changed @param {AbortSignal} signal */
export function releaseActions(changed, signal) {
  /** @param {string} path @param {unknown} [json] */
  async function act(path, json) {
    try {
      const { status_url: status } = await request(path, { method: "POST", json });
      notify(() => text().waiting);
      if (status) await follow(status);
      forgetTaxonomy();
      changed();
    } catch (error) {
      if (!signal.aborted) notifyFailure(error);
    }
  }

  /** @param {string} statusUrl Path of the action, below the root path. */
  async function follow(statusUrl) {
    const path = statusUrl.slice(statusUrl.indexOf("/releases/") + 1);
    for (let action = await request(path, { signal }); ; action = await request(path, { signal })) {
      if (action.state !== "active") {
        notify(() => (action.state === "succeeded" ? text().succeeded : text().failed), { kind: action.state === "succeeded" ? "good" : "bad", detail: action.reason });
        return;
      }
      await new Promise((done) => { setTimeout(done, POLL_MS); });
    }
  }

  return {
    /** @param {Release} release */
    buttons: ({ release, state }) => [
      state === "champion" ? null : h("button", { type: "button", class: "primary", "aria-label": () => `${text().promote} ${release}`, onclick: async () => {
        if (await confirmed({ title: () => text().promoteQuestion(release), detail: () => text().promoteDetail, confirm: () => text().promote })) await act(`releases/${release}/promote`);
      } }, () => text().promote),
      state === "champion" ? null : h("button", { type: "button", "aria-label": () => `${text().canary} ${release}`, onclick: async () => {
        if (await confirmed({ title: () => text().canaryQuestion(release), detail: () => text().canaryDetail(CANARY_SHARE), confirm: () => text().canary })) await act(`releases/${release}/canary`, { share: CANARY_SHARE });
      } }, () => text().canary),
    ],
    rollBack: () => h("button", { type: "button", class: "danger", onclick: async () => {
      if (await confirmed({ title: () => text().rollBackQuestion, detail: () => text().rollBackDetail, confirm: () => text().rollBack, danger: true })) await act("releases/rollback");
    } }, () => text().rollBack),
  };
}
