import { translations } from "../core/language.js";

export const text = translations({
  en: {
    skip: "Skip to content", navigation: "Pages", logOut: "Log out", keys: "Keyboard shortcuts", api: "API", theme: "Colors",
    themes: { system: "as the system", light: "light", dark: "dark" },
    logIn: "Log in", password: "Password", name: "Name", external: "Log in at the identity provider",
    wrong: "The name or the password is wrong.",
    expired: "The session has ended. Log in again: the page continues where it was, and what you typed is kept.",
    anotherUser: "Another user is logged in now; the page was opened again.",
    roleChanged: "Your role has changed; the pages it allows are shown.",
    notAllowed: "This page needs the role", goTo: "Go to", notFound: "This page does not exist.",
    keysOn: "Single keys are shortcuts", showKeys: "Show this list", failed: "This page cannot be shown", retry: "Try again",
    workbench: "Product classification",
  },
  fr: {
    skip: "Aller au contenu", navigation: "Pages", logOut: "Se déconnecter", keys: "Raccourcis clavier", api: "API", theme: "Couleurs",
    themes: { system: "celles du système", light: "claires", dark: "sombres" },
    logIn: "Se connecter", password: "Mot de passe", name: "Nom", external: "Se connecter chez le fournisseur d'identité",
    wrong: "Le nom ou le mot de passe est faux.",
    expired: "La session a expiré. Reconnectez-vous : la page reprend où elle en était, et votre saisie est conservée.",
    anotherUser: "Un autre utilisateur est connecté ; la page a été rouverte.",
    roleChanged: "Votre rôle a changé ; les pages qu'il permet sont affichées.",
    notAllowed: "Cette page demande le rôle", goTo: "Aller à", notFound: "Cette page n'existe pas.",
    keysOn: "Les touches seules sont des raccourcis", showKeys: "Afficher cette liste", failed: "Cette page ne peut pas être affichée", retry: "Réessayer",
    workbench: "Classification de produits",
  },
});
