import { formatNumber, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Taxonomy", version: /** @param {number} n */ (n) => `Version ${formatNumber(n)}`, count: /** @param {number} n */ (n) => `${formatNumber(n)} categories`,
    filter: "Find a category by name, code or synonym", tree: "Categories", products: /** @param {number} n */ (n) => `${formatNumber(n)} products`,
    notAnswerable: "not answered", changes: "Changes", noChanges: "No change yet", noChangesHint: "Categories are added, renamed, moved, merged, split and retired by a change file.",
    try: "Try a change file", file: "Change file (JSON)", dryRun: "Show what it would do", apply: "Apply", applyQuestion: "Apply this change?",
    applyDetail: "The taxonomy gets a new version. It cannot be taken back; a later change can.", applied: "The change is applied.",
    notJson: "This is not valid JSON", effects: "Effects", action: "Change", becomes: "Becomes", outcome: "Outcome", corrections: "Corrections", productsColumn: "Products",
    outcomes: { kept: "kept", mapped: "counts at another category", undecided: "to be decided again", uncategorized: "no category" },
    actions: { add: "add", rename: "rename", move: "move", merge: "merge", split: "split", retire: "retire" },
    by: "by", nothing: "No category has these words.", guideline: "Guideline", choose: "Choose a category to see its guideline.",
  },
  fr: {
    title: "Taxonomie", version: (n) => `Version ${formatNumber(n)}`, count: (n) => `${formatNumber(n)} catégories`,
    filter: "Chercher une catégorie par nom, code ou synonyme", tree: "Catégories", products: (n) => `${formatNumber(n)} produits`,
    notAnswerable: "non attribuée", changes: "Modifications", noChanges: "Aucune modification", noChangesHint: "Un fichier de modifications ajoute, renomme, déplace, fusionne, divise et retire des catégories.",
    try: "Essayer un fichier de modifications", file: "Fichier de modifications (JSON)", dryRun: "Montrer ce qu'il ferait", apply: "Appliquer", applyQuestion: "Appliquer cette modification ?",
    applyDetail: "La taxonomie reçoit une nouvelle version. Cela ne s'annule pas ; une modification ultérieure le peut.", applied: "La modification est appliquée.",
    notJson: "Ce n'est pas du JSON valide", effects: "Effets", action: "Modification", becomes: "Devient", outcome: "Résultat", corrections: "Corrections", productsColumn: "Produits",
    outcomes: { kept: "conservée", mapped: "compte dans une autre catégorie", undecided: "à décider de nouveau", uncategorized: "sans catégorie" },
    actions: { add: "ajouter", rename: "renommer", move: "déplacer", merge: "fusionner", split: "diviser", retire: "retirer" },
    by: "par", nothing: "Aucune catégorie n'a ces mots.", guideline: "Consigne", choose: "Choisissez une catégorie pour voir sa consigne.",
  },
});
