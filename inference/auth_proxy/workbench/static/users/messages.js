import { translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Users", users: "Users", keys: "API keys", audit: "Audit log", addUser: "Add a user", addKey: "Create an API key", password: "Password (12 characters or more)",
    add: "Add", create: "Create", state: "State", active: "active", disabled: "disabled", disable: "Disable", enable: "Enable", remove: "Delete",
    removeUser: /** @param {string} name */ (name) => `Delete ${name}?`, removeUserDetail: "The user is logged out everywhere and cannot log in again. Predictions and corrections stay.",
    removeKey: /** @param {string} name */ (name) => `Delete the key ${name}?`, removeKeyDetail: "It is refused from now on. Machines that use it stop working.",
    roleOf: /** @param {string} name */ (name) => `Role of ${name}`, added: "The user is added.", changed: "The user is changed, and must log in again.", removed: "Deleted.",
    changePassword: "New password", passwordOf: /** @param {string} name */ (name) => `New password of ${name}`, save: "Save",
    keyShown: "The key is shown this once. Copy it now:", copy: "Copy", copied: "Copied.", expires: "Expires", never: "never", lastUsed: "Last used", createdBy: "By", notUsed: "not yet",
    noKeys: "No API key", noKeysHint: "Machines use API keys in place of a login.", noUsers: "Users are managed by the external identity provider.",
    noEvents: "No event matches", actor: "Who", action: "What", target: "On", when: "When", outcome: "Outcome", address: "From",
    outcomes: { done: "done", failed: "failed", unknown: "unknown", damaged: "unreadable" }, actorFilter: "User", you: "you",
  },
  fr: {
    title: "Utilisateurs", users: "Utilisateurs", keys: "Clés d'API", audit: "Journal d'audit", addUser: "Ajouter un utilisateur", addKey: "Créer une clé d'API", password: "Mot de passe (12 caractères au moins)",
    add: "Ajouter", create: "Créer", state: "État", active: "actif", disabled: "désactivé", disable: "Désactiver", enable: "Activer", remove: "Supprimer",
    removeUser: (name) => `Supprimer ${name} ?`, removeUserDetail: "L'utilisateur est déconnecté partout et ne peut plus se connecter. Prédictions et corrections restent.",
    removeKey: (name) => `Supprimer la clé ${name} ?`, removeKeyDetail: "Elle est refusée dès maintenant. Les machines qui l'utilisent s'arrêtent.",
    roleOf: (name) => `Rôle de ${name}`, added: "L'utilisateur est ajouté.", changed: "L'utilisateur est modifié, et doit se reconnecter.", removed: "Supprimé.",
    changePassword: "Nouveau mot de passe", passwordOf: (name) => `Nouveau mot de passe de ${name}`, save: "Enregistrer",
    keyShown: "La clé n'est montrée qu'une fois. Copiez-la maintenant :", copy: "Copier", copied: "Copiée.", expires: "Expire", never: "jamais", lastUsed: "Dernier usage", createdBy: "Par", notUsed: "pas encore",
    noKeys: "Aucune clé d'API", noKeysHint: "Les machines utilisent des clés d'API au lieu d'une connexion.", noUsers: "Les utilisateurs sont gérés par le fournisseur d'identité externe.",
    noEvents: "Aucun événement ne correspond", actor: "Qui", action: "Quoi", target: "Sur", when: "Quand", outcome: "Résultat", address: "Depuis",
    outcomes: { done: "fait", failed: "échoué", unknown: "inconnu", damaged: "illisible" }, actorFilter: "Utilisateur", you: "vous",
  },
});
