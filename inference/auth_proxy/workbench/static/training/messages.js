import { formatNumber, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Training", start: "Start a run", started: "The run is requested", runs: "Runs",
    startQuestion: "Start a training run?", startDetail: "It trains with all corrections that count, compares the result with the release in service and promotes it only if it is better.",
    /** @param {number} have @param {number} need */
    progress: (have, need) => `${formatNumber(have)} of ${formatNumber(need)} corrections that start a run by themselves`,
    empty: "No run yet", emptyHint: "A run starts when enough corrections count, or when an administrator starts one.",
    causes: { threshold: "enough corrections", manual: "requested by an administrator", drift: "drift", taxonomy: "a change of the taxonomy" },
    runStates: { waiting: "waiting", running: "running", succeeded: "done", failed: "failed" },
    requestedBy: "Requested by", cause: "Cause", corrections: "Corrections", started_at: "Started", finished: "Finished", duration: "Duration",
    verdict: "Verdict", promoted: "Promoted", notPromoted: "Not promoted", steps: "Steps", log: "Log", noEvents: "No messages yet.",
    live: "live", closed: "ended", metrics: "Metrics", champion: "Release in service", challenger: "New release", run: "Run",
    refreshes: "Runs are refreshed by themselves.", eventsAway: "Live messages are not available; the state is refreshed by itself.",
  },
  fr: {
    title: "Entraînement", start: "Lancer un entraînement", started: "L'entraînement est demandé", runs: "Entraînements",
    startQuestion: "Lancer un entraînement ?", startDetail: "Il apprend de toutes les corrections qui comptent, compare le résultat à la version en service et ne la remplace que s'il est meilleur.",
    progress: (have, need) => `${formatNumber(have)} corrections sur ${formatNumber(need)} pour un lancement automatique`,
    empty: "Aucun entraînement", emptyHint: "Un entraînement commence quand assez de corrections comptent, ou quand un administrateur le lance.",
    causes: { threshold: "assez de corrections", manual: "demandé par un administrateur", drift: "dérive", taxonomy: "un changement de la taxonomie" },
    runStates: { waiting: "en attente", running: "en cours", succeeded: "terminé", failed: "échoué" },
    requestedBy: "Demandé par", cause: "Cause", corrections: "Corrections", started_at: "Commencé", finished: "Terminé", duration: "Durée",
    verdict: "Verdict", promoted: "Promue", notPromoted: "Non promue", steps: "Étapes", log: "Journal", noEvents: "Pas encore de message.",
    live: "en direct", closed: "terminé", metrics: "Mesures", champion: "Version en service", challenger: "Nouvelle version", run: "Entraînement",
    refreshes: "La liste s'actualise d'elle-même.", eventsAway: "Les messages en direct ne sont pas disponibles ; l'état s'actualise de lui-même.",
  },
});

/** @param {string} cause */
export const causeName = (cause) => /** @type {Record<string, string>} */ (text().causes)[cause] ?? cause;

/** @param {string} state */
export const runStateName = (state) => /** @type {Record<string, string>} */ (text().runStates)[state] ?? state;
