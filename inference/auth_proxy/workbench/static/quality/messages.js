import { formatNumber, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Quality", of: "Release", scores: "Scores on the hold-out", model: "Model", weighted: "Weighted F1", macro: "Macro F1", accuracy: "Accuracy", calibrationError: "Calibration error", coverage99: "Coverage at 99 % precision",
    models: { fusion: "Fusion", text: "Text", image: "Photo" }, overReleases: "F1 over releases", category: "Category", precision: "Precision", recall: "Recall", items: "Products",
    byCategory: "By category, lowest F1 first", acceptedShare: "Accepted", acceptedPrecision: "Precision of those", confusions: "Confusions", truth: "Is", predicted: "Predicted as",
    openPair: /** @param {string} a @param {string} b */ (a, b) => `Open the products of ${a} that are predicted as ${b}`, open: "Open", calibration: "Calibration", confidence: "Mean confidence", right: "Share that is right", ideal: "Perfectly calibrated",
    coverage: "Coverage against precision", coverageAxis: "Precision", coverageSeries: "Share of the products that needs no review", feedback: "Corrections over time", day: "Day", given: "Answers", confirmations: "Confirmations",
    accepted: "Accepted", acceptance: "Acceptance rate", suspects: "Training labels that are probably wrong", labelled: "Label", suggested: "Rather", probability: "Probability of the label", drift: "Drift",
    window: "Window", empty: "No release yet", emptyHint: "Quality is measured when a release is trained.", old: "The release is of an earlier version, which did not store this.", noSuspects: "No suspect", noDrift: "No window was monitored yet",
    allSuspects: "All categories", suspectsOf: /** @param {string} label */ (label) => `Suspects of ${label}`, corrections: "Corrections to it", predictions: /** @param {number} n */ (n) => `${formatNumber(n)} predictions`, noFeedback: "No answers yet",
    labels: /** @param {number} n */ (n) => `${formatNumber(n)} labels were examined`,
  },
  fr: {
    title: "Qualité", of: "Version", scores: "Mesures sur les données de test", model: "Modèle", weighted: "F1 pondéré", macro: "F1 macro", accuracy: "Exactitude", calibrationError: "Erreur de calibration", coverage99: "Couverture à 99 % de précision",
    models: { fusion: "Fusion", text: "Texte", image: "Photo" }, overReleases: "F1 au fil des versions", category: "Catégorie", precision: "Précision", recall: "Rappel", items: "Produits",
    byCategory: "Par catégorie, F1 le plus bas d'abord", acceptedShare: "Acceptés", acceptedPrecision: "Leur précision", confusions: "Confusions", truth: "Est", predicted: "Prédit comme",
    openPair: (a, b) => `Ouvrir les produits de ${a} prédits comme ${b}`, open: "Ouvrir", calibration: "Calibration", confidence: "Confiance moyenne", right: "Part de justes", ideal: "Calibration parfaite",
    coverage: "Couverture selon la précision", coverageAxis: "Précision", coverageSeries: "Part des produits sans relecture", feedback: "Corrections au fil du temps", day: "Jour", given: "Réponses", confirmations: "Confirmations",
    accepted: "Acceptées", acceptance: "Taux d'acceptation", suspects: "Étiquettes d'apprentissage probablement fausses", labelled: "Étiquette", suggested: "Plutôt", probability: "Probabilité de l'étiquette", drift: "Dérive",
    window: "Fenêtre", empty: "Aucune version", emptyHint: "La qualité est mesurée quand une version est entraînée.", old: "La version est antérieure et n'a pas enregistré ceci.", noSuspects: "Aucune étiquette suspecte", noDrift: "Aucune fenêtre n'a été surveillée",
    allSuspects: "Toutes les catégories", suspectsOf: (label) => `Suspects de ${label}`, corrections: "Corrections vers elle", predictions: (n) => `${formatNumber(n)} prédictions`, noFeedback: "Aucune réponse",
    labels: (n) => `${formatNumber(n)} étiquettes ont été examinées`,
  },
});
