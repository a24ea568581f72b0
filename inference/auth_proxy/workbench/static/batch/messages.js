import { formatNumber, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Batch", file: "CSV file, or a ZIP with a CSV and photos", drop: "Drop a file here, or choose one. It is checked at once and classified in the background.", upload: "Upload",
    mapping: "Columns, where they are not recognized", columns: { id: "Column of the id", designation: "Column of the title", description: "Column of the description", image: "Column of the photo" },
    uploading: "The file is sent and checked…", started: "The file is checked and waits.", notAFile: "Only CSV and ZIP files are accepted", noFile: "Choose a file first", batches: "Your batches",
    empty: "No batch yet", emptyHint: "A batch goes on when you close this tab, and after a restart.", fileName: "File", progress: "Progress", rejected: "Rejected", accepted: "Accepted", result: "Result",
    states: /** @type {Record<string, string>} */ ({ waiting: "waiting", running: "running", succeeded: "done", failed: "failed" }),
    /** @param {number} done @param {number} all */
    of: (done, all) => `${formatNumber(done)} of ${formatNumber(all)}`,
    problems: "Rejected rows", line: "Line", field: "Column", value: "Value", preview: "Show", previewOf: /** @param {string} name */ (name) => `Show the first predictions of ${name}`,
    downloadOf: /** @param {string} name */ (name) => `Download the predictions of ${name}`, first: /** @param {number} n */ (n) => `The first ${formatNumber(n)} predictions; the download has all.`, filter: "Rows with", noRows: "No row matches",
    problemsOf: /** @param {string} name */ (name) => `Rejected rows of ${name}`,
  },
  fr: {
    title: "Lot", file: "Fichier CSV, ou ZIP avec un CSV et des photos", drop: "Déposez un fichier ici, ou choisissez-en un. Il est contrôlé aussitôt et classé en arrière-plan.", upload: "Envoyer",
    mapping: "Colonnes, si elles ne sont pas reconnues", columns: { id: "Colonne de l'identifiant", designation: "Colonne du titre", description: "Colonne de la description", image: "Colonne de la photo" },
    uploading: "Le fichier est envoyé et contrôlé…", started: "Le fichier est contrôlé et attend.", notAFile: "Seuls les fichiers CSV et ZIP sont acceptés", noFile: "Choisissez d'abord un fichier", batches: "Vos lots",
    empty: "Aucun lot", emptyHint: "Un lot continue quand vous fermez cet onglet, et après un redémarrage.", fileName: "Fichier", progress: "Avancement", rejected: "Rejetés", accepted: "Acceptés", result: "Résultat",
    states: { waiting: "en attente", running: "en cours", succeeded: "terminé", failed: "échoué" },
    of: (done, all) => `${formatNumber(done)} sur ${formatNumber(all)}`,
    problems: "Lignes rejetées", line: "Ligne", field: "Colonne", value: "Valeur", preview: "Afficher", previewOf: (name) => `Afficher les premières prédictions de ${name}`,
    downloadOf: (name) => `Télécharger les prédictions de ${name}`, first: (n) => `Les ${formatNumber(n)} premières prédictions ; le téléchargement les a toutes.`, filter: "Lignes avec", noRows: "Aucune ligne ne correspond",
    problemsOf: (name) => `Lignes rejetées de ${name}`,
  },
});
