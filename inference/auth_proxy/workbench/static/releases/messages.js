import { formatNumber, formatPercent, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Releases", empty: "No release yet", emptyHint: "A release is the result of a training run.", f1: "F1 on the hold-out", products: "Products", corrections: "Corrections", categories: "Categories",
    verdict: "Verdict", promote: "Promote", rollBack: "Roll back", canary: "Canary", compare: "Compare with", compareTitle: "Comparison", details: "Details", data: "Data", commit: "Commit", snapshot: "Corrections snapshot", mlflow: "MLflow runs",
    states: /** @type {Record<string, string>} */ ({ champion: "in service", canary: "canary", shadow: "shadow", "former champion": "was in service", refused: "refused", "not compared": "not compared" }),
    promoteQuestion: /** @param {string} id */ (id) => `Put ${id} into service?`, promoteDetail: "All requests go to it. The release in service until now is kept, and a roll back returns to it.",
    rollBackQuestion: "Roll back?", rollBackDetail: "The release that was in service before goes into service again.",
    canaryQuestion: /** @param {string} id */ (id) => `Send a part of the requests to ${id}?`, canaryDetail: /** @param {number} share */ (share) => `${formatPercent(share)} of the requests are answered by it, until it is promoted or the canary is ended.`,
    requested: "Requested", waiting: "The action runs; its result is shown here.", succeeded: "Done", failed: "Failed", share: "Share of requests", score: "Score", change: "Difference", none: "–",
    fusion: "Fusion, weighted F1", text: "Text, weighted F1", image: "Photo, weighted F1", worst: "Largest differences by category", sameHoldOut: "Both were measured on the same hold-out.", otherHoldOut: "They were measured on different hold-outs: the scores cannot be compared.",
    promoted: "Promoted", refused: "Not promoted", undecided: "No verdict", choose: "Choose another release to compare with.", byCategory: "Products by category", correctionsByCategory: "Corrections by category", gone: "This release is gone",
    count: /** @param {number | null} n */ (n) => (n === null ? "–" : formatNumber(n)), openQuality: "Quality of this release",
  },
  fr: {
    title: "Versions", empty: "Aucune version", emptyHint: "Une version est le résultat d'un entraînement.", f1: "F1 sur les données de test", products: "Produits", corrections: "Corrections", categories: "Catégories",
    verdict: "Verdict", promote: "Mettre en service", rollBack: "Revenir en arrière", canary: "Canari", compare: "Comparer à", compareTitle: "Comparaison", details: "Détails", data: "Données", commit: "Commit", snapshot: "Instantané des corrections", mlflow: "Exécutions MLflow",
    states: { champion: "en service", canary: "canari", shadow: "copie", "former champion": "était en service", refused: "refusée", "not compared": "non comparée" },
    promoteQuestion: (id) => `Mettre ${id} en service ?`, promoteDetail: "Toutes les requêtes lui sont envoyées. La version en service jusqu'ici est conservée, et un retour en arrière y revient.",
    rollBackQuestion: "Revenir en arrière ?", rollBackDetail: "La version qui était en service auparavant le redevient.",
    canaryQuestion: (id) => `Envoyer une part des requêtes à ${id} ?`, canaryDetail: (share) => `Elle répond à ${formatPercent(share)} des requêtes, jusqu'à sa mise en service ou la fin du canari.`,
    requested: "Demandé", waiting: "L'action est en cours ; son résultat s'affiche ici.", succeeded: "Fait", failed: "Échec", share: "Part des requêtes", score: "Mesure", change: "Différence", none: "–",
    fusion: "Fusion, F1 pondéré", text: "Texte, F1 pondéré", image: "Photo, F1 pondéré", worst: "Plus grandes différences par catégorie", sameHoldOut: "Les deux ont été mesurées sur les mêmes données de test.", otherHoldOut: "Elles ont été mesurées sur des données de test différentes : les mesures ne se comparent pas.",
    promoted: "Mise en service", refused: "Non mise en service", undecided: "Sans verdict", choose: "Choisissez une autre version à comparer.", byCategory: "Produits par catégorie", correctionsByCategory: "Corrections par catégorie", gone: "Cette version n'existe plus",
    count: (n) => (n === null ? "–" : formatNumber(n)), openQuality: "Qualité de cette version",
  },
});

const TONES = /** @type {Record<string, string>} */ ({ champion: "good", canary: "accent", shadow: "accent", refused: "bad" });

/** @param {string} state */
export const releaseTone = (state) => TONES[state] ?? "";

/** @param {string} state */
export const releaseState = (state) => text().states[state] ?? state;
