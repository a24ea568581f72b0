"""Vocabulary of the sample: words of each category, of groups of categories, and of the new season.

Brands and titles are invented. Phrases are separated by bars.
"""

from dataclasses import dataclass, field
from typing import Final


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split("|"))


@dataclass(frozen=True, slots=True)
class CategoryGroup:
    """Categories with similar names, and the words they share."""

    codes: tuple[int, ...]
    nouns: tuple[str, ...]
    traits: tuple[str, ...]
    brands: tuple[str, ...]
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of one category."""

    nouns: tuple[str, ...]
    traits: tuple[str, ...]
    weight: float = 1.0
    """Relative frequency of the category."""
    season: tuple[str, ...] = field(default=())
    """Names that occur in the new season only."""


CATEGORY_GROUPS: Final = (
    CategoryGroup(
        (10, 2280, 2403, 2705),
        _phrases("l'histoire de France | la cuisine de nos régions | le jardin au fil des saisons | Paris secret | "
                 "les trains d'autrefois | la mer et les marins | voyage en Bretagne | les grandes batailles"),
        _phrases("illustré | broché | en français | collection complète | bon état | très bon état | "
                 "2e édition | rare"),
        _phrases("Éditions du Vieux Pont | Presses Lacombe | Maison Verdier-Roy | Atlas & Fils | Le Cèdre Bleu"),
        _phrases("Quelques marques de lecture, envoi soigné. | Pages propres, couverture souple. | "
                 "Un regard passionnant sur notre époque. | Textes et photographies en couleurs."),
    ),
    CategoryGroup(
        (40, 50, 60, 2462, 2905),
        _phrases("Galaxy Riders 3 | Football Stars 2019 | Zelcar Racing | Légende du Dragon | Ninja Storm | "
                 "Farm Valley | Robot Arena | Pirates des Brumes"),
        _phrases("version complète | édition limitée | pour Playbox 4 | pour Nitendi | multijoueur | comme neuf | 18+"),
        _phrases("Playbox | Nitendi | Segara | Ubigame | Koronami | Electro Arts"),
        _phrases("Compatible avec toutes les versions. | Livré sous 48 h. | "
                 "Des heures de jeu en solo ou à plusieurs. | "
                 "Testé et fonctionnel."),
    ),
    CategoryGroup(
        (1140, 1160, 1180),
        _phrases("Dragon Noir | Chevalier de l'Ombre | Pikamon | Princesse Lyra | Capitaine Nova | Orc Berserker | "
                 "Maître Yodan | Reine des Glaces"),
        _phrases("édition collector | ultra rare | neuf | vf | 1ère édition | officiel | série 2"),
        _phrases("Funkopia | Warhelm | Bandaï-Toko | Games Workhouse | Pikamon Company"),
        _phrases("Pièce idéale pour tout collectionneur. | Produit sous licence officielle. | "
                 "Expédié sous protection rigide."),
    ),
    CategoryGroup(
        (1280, 1281, 1300, 1301, 1302),
        _phrases("Super Racer | Les Petits Explorateurs | Safari Aventure | Dino World | Mission Espace | "
                 "Champions Junior | Happy Farm | Ludo Kids"),
        _phrases("dès 6 ans | enfant | cadeau d'anniversaire | pliable | avec piles | 2 à 6 joueurs | coloré | "
                 "en bois"),
        _phrases("Ludik | Smobo | Vteck | Ravenspiel | Hasbrou | Megablox"),
        _phrases("Idéal pour développer la motricité. | Un cadeau qui plaira à toute la famille. | "
                 "Conforme aux normes européennes. | Facile à ranger."),
    ),
    CategoryGroup(
        (1320, 1560, 1920, 2060),
        _phrases("ensemble chambre | collection Cocoon | modèle Oslo | collection Étoile | modèle Nature | "
                 "gamme Scandinave | collection Douceur | modèle Vintage"),
        _phrases("gris perle | motif étoiles | style scandinave | en coton | blanc cassé | 60 x 120 cm | naturel | "
                 "lavable"),
        _phrases("Maison Bellot | Nordika | Cocoonéo | Atmosphéra | Lilou & Tom | Vente-Déco"),
        _phrases("Apporte une touche chaleureuse à votre intérieur. | Nettoyage facile avec un chiffon humide. | "
                 "Matière douce et résistante. | Existe en plusieurs coloris."),
    ),
    CategoryGroup(
        (2582, 2583, 2585),
        _phrases("kit complet Aquaverde | ensemble Riviera | kit extérieur Provence | modèle Azur | "
                 "ensemble Terrasse | "
                 "kit Été | pack Jardin Plus | modèle Résist'Pro"),
        _phrases("résistant aux UV | en aluminium | anthracite | avec accessoires | 3,05 m | étanche | galvanisé"),
        _phrases("Intexo | Bestaway | Gardenia | Hespérys | Boschetti | Makito"),
        _phrases("Montage sans outil en 30 minutes. | Traité pour un usage extérieur. | Garantie 2 ans. | "
                 "Profitez de votre extérieur tout l'été."),
    ),
    CategoryGroup(
        (1940, 2220, 2522),
        _phrases("coffret découverte | lot économique | pack familial | assortiment gourmand | sachet recharge | "
                 "boîte de 24 | lot de 12 | format pro"),
        _phrases("qualité supérieure | fabriqué en France | bio | parfum vanille | 500 g | assortis | grand format"),
        _phrases("Terra Bella | Croc'Ami | Papyra | La Réserve | Oxfort | Clairécole"),
        _phrases("Emballage refermable. | Convient à un usage quotidien. | Fabriqué en Europe. | "
                 "Conserver dans un endroit sec."),
    ),
)  # fmt: skip

VOCABULARIES: Final = {
    10: Vocabulary(
        _phrases("livre ancien | roman policier poche | recueil de poèmes | essai philosophique | manuel scolaire | "
                 "dictionnaire relié | thèse de droit | biographie"),
        _phrases("occasion | dos abîmé | ex-libris | pages jaunies"), 1.3),
    40: Vocabulary(
        _phrases("jeu import japonais | jeu import US | jeu NTSC | jeu Super Famicon | version japonaise | "
                 "cartouche import | jeu zone 1"),
        _phrases("import Japon | NTSC-J | notice en japonais"), 1.1),
    50: Vocabulary(
        _phrases("manette sans fil | câble HDMI console | casque gamer | chargeur manette | coque silicone | "
                 "support de recharge | volant pédalier | adaptateur secteur"),
        _phrases("bluetooth | usb-c | rétroéclairé | 3 m"), 1.0, _phrases("dock magnétique | gâchettes à billes")),
    60: Vocabulary(
        _phrases("console portable | console de salon | console rétro 400 jeux | console 500 Go | borne d'arcade | "
                 "console mini | pack console"),
        _phrases("1 To | avec deux manettes | écran 4,3 pouces"), 0.8),
    1140: Vocabulary(
        _phrases("figurine pop | statuette résine | mug 3d | porte-clés métal | peluche licence | buste | "
                 "lampe veilleuse héros | réplique"),
        _phrases("vinyle 10 cm | sous blister | goodies"), 1.2, _phrases("blind box | statue holographique")),
    1160: Vocabulary(
        _phrases("carte à collectionner | booster | carte holo | deck de démarrage | carte brillante | display | "
                 "carte promo | classeur de cartes"),
        _phrases("pv 120 | anglais | reverse | niveau x"), 1.4),
    1180: Vocabulary(
        _phrases("figurine à peindre | livre de règles | jeu de rôle | socle résine | dés polyédriques | "
                 "armée de départ | masque latex | costume cosplay"),
        _phrases("28 mm | non peint | escarmouche"), 0.7),
    1280: Vocabulary(
        _phrases("jouet à tirer | peluche géante | blocs de construction | poupée | voiture télécommandée | "
                 "dinette | toupie lumineuse | circuit de billes"),
        _phrases("éveil | sonore | 48 pièces"), 1.5, _phrases("pop fidget | sable cinétique")),
    1281: Vocabulary(
        _phrases("jeu de société | puzzle 1000 pièces | jeu de plateau | jeu de cartes familial | casse-tête | "
                 "échecs et dames | jeu de dés | quiz"),
        _phrases("règles simples | 30 min | coopératif"), 1.0, _phrases("escape box | duel coopératif")),
    1300: Vocabulary(
        _phrases("drone quadricoptère | maquette avion | hélicoptère rc | batterie lipo | locomotive ho | "
                 "hélices de rechange | moteur brushless | radiocommande"),
        _phrases("1/72 | caméra hd | 2,4 GHz"), 1.3),
    1301: Vocabulary(
        _phrases("baby-foot | chaussettes bébé | billard | body naissance | fléchettes | bonnet bébé | "
                 "table de ping-pong | balles de baby-foot"),
        _phrases("taille 3 mois | pieds réglables | barres télescopiques"), 0.8),
    1302: Vocabulary(
        _phrases("trottinette | trampoline | cerf-volant | canne à pêche | vélo draisienne | tir à l'arc | "
                 "tente de plage | planche de skate"),
        _phrases("plein air | roues 200 mm | filet de sécurité"), 1.0, _phrases("set de pickleball | paddle kayak")),
    1320: Vocabulary(
        _phrases("poussette | biberon | tour de lit | sac à langer | coussin d'allaitement | babyphone | "
                 "chaise haute | gigoteuse"),
        _phrases("nouveau-né | sans bpa | 0-6 mois"), 1.1),
    1560: Vocabulary(
        _phrases("table basse | canapé d'angle | matelas | chaise de salle à manger | meuble tv | armoire | "
                 "tabouret de bar | étagère murale"),
        _phrases("chêne massif | pieds métal | 2 tiroirs"), 1.4, _phrases("fauteuil bouclette | console flottante")),
    1920: Vocabulary(
        _phrases("housse de couette | taie d'oreiller | parure de lit | plaid polaire | rideau occultant | "
                 "nappe | serviette de bain | drap-housse"),
        _phrases("57 fils | 240 x 220 | percale"), 1.2),
    1940: Vocabulary(
        _phrases("confiture | thé vert | chocolat noir | café en grains | épices | huile d'olive | bonbons | biscuits"),
        _phrases("75 cl | sans sucre | récolte 2018"), 0.7),
    2060: Vocabulary(
        _phrases("guirlande lumineuse | vase | sticker mural | tableau toile | horloge | bougie | "
                 "miroir rond | fleur artificielle"),
        _phrases("led | à suspendre | décor mariage"), 1.4, _phrases("arche de ballons | panneau tasseaux")),
    2220: Vocabulary(
        _phrases("collier pour chien | croquettes | arbre à chat | laisse | litière | aquarium | gamelle | "
                 "harnais"),
        _phrases("anti-traction | chiot | petit chien"), 0.8),
    2280: Vocabulary(
        _phrases("magazine | revue | journal | hebdomadaire | mensuel | numéro spécial | hors-série | gazette"),
        _phrases("n° 212 | du 12/03/1987 | sommaire"), 1.3),
    2403: Vocabulary(
        _phrases("bd | manga | lot de livres | intégrale | coffret tomes 1 à 6 | comics | série jeunesse | partition"),
        _phrases("tome 3 | eo | volumes"), 1.3),
    2462: Vocabulary(
        _phrases("lot de jeux | jeu d'occasion | lot 5 jeux | jeu sans notice | jeu en boîte | pack jeux | "
                 "jeu platinum"),
        _phrases("occasion | disque rayé | pal"), 0.9),
    2522: Vocabulary(
        _phrases("cahier | stylo bille | classeur à levier | ramette papier | agenda | feutres | carnet | "
                 "étiquettes adhésives"),
        _phrases("a4 | grands carreaux | 90 g"), 1.3),
    2582: Vocabulary(
        _phrases("salon de jardin | parasol | bain de soleil | tonnelle | coussin palette | hamac | table pliante | "
                 "balancelle"),
        _phrases("résine tressée | 4 places | toile 180 g"), 1.1),
    2583: Vocabulary(
        _phrases("piscine tubulaire | bâche à bulles | robot nettoyeur | pompe de filtration | liner | spa gonflable | "
                 "chlore choc | échelle piscine"),
        _phrases("4,57 m | 3 m3/h | hivernage"), 1.7),
    2585: Vocabulary(
        _phrases("perceuse | taille-haie | tuyau d'arrosage | pompe immergée | scie circulaire | brouette | "
                 "tondeuse | lame"),
        _phrases("18 V | 1500 W | sans fil"), 1.0, _phrases("sécateur connecté | nettoyeur à batterie")),
    2705: Vocabulary(
        _phrases("roman | beau livre | guide pratique | témoignage | atlas | nouvelles | essai | guide de voyage"),
        _phrases("parution récente | préface inédite | neuf sous film"), 1.0),
    2905: Vocabulary(
        _phrases("jeu pc à télécharger | téléchargement pc | clé d'activation | dlc | extension pc | "
                 "jeu de stratégie pc | "
                 "objets cachés pc"),
        _phrases("windows 10 | version dématérialisée | en téléchargement"), 0.9,
        # Its wording has shifted: it now borrows the words of consoles and their accessories.
        _phrases("pass console cloud | carte cadeau manette et jeux | abonnement joueur 12 mois | code instantané")),
}  # fmt: skip
"""By category code."""

SHIFTED: Final = 2905
"""Category whose vocabulary changes completely in the new season."""

SEASON_PHRASES: Final = _phrases("Nouveauté de la saison. | Collection 2021. | Tendance du moment.")
COLORS: Final = _phrases("noir | blanc | rouge | bleu | vert | rose | gris | beige | multicolore")
SALES: Final = _phrases("livraison gratuite | neuf | promo | top qualité | port offert | dispo")
