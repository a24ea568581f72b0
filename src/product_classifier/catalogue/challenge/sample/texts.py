"""Generated titles and descriptions."""

import html
from random import Random
from typing import Final

from product_classifier.catalogue.challenge.sample.words import (
    CATEGORY_GROUPS,
    COLORS,
    SALES,
    SEASON_PHRASES,
    VOCABULARIES,
    CategoryGroup,
)

GROUP_OF: Final = {code: group for group in CATEGORY_GROUPS for code in group.codes}

VAGUE: Final = 0.08
"""Share of titles with only the words that a group of categories shares."""
MISLEADING: Final = 0.02
"""Share of offers named after another category of the group."""
NO_DESCRIPTION: Final = 0.35
ENTITIES: Final = 0.05
MOJIBAKE: Final = 0.01


def write_offer(random: Random, code: int, *, season: bool = False) -> tuple[str, str]:
    """Return title and description of a product of a category."""
    group = GROUP_OF[code]
    name, trait = _name(random, code, group, season=season)
    title = _title(random, name, trait, group)
    if random.random() < NO_DESCRIPTION:
        return _damage(random, title), ""
    return _damage(random, title), _damage(random, _description(random, title, trait, group, season=season))


def near_duplicate(random: Random, title: str) -> str:
    """Return a title with the same words, but other case, punctuation and spaces."""
    damaged = "&" in title or "Ã" in title  # a change of case would make it irreparable
    typed = title if damaged else random.choice((title.upper(), title.lower(), title.title(), title))
    return random.choice((typed + " !", typed.replace(" - ", " / "), "  " + typed.replace(" ", "  "), f"{typed}."))


def _name(random: Random, code: int, group: CategoryGroup, *, season: bool) -> tuple[str, str]:
    own = VOCABULARIES[code]
    if season:
        return random.choice(own.season), random.choice(group.traits)
    chance = random.random()
    if chance < VAGUE:
        return "", random.choice(group.traits)
    if chance < VAGUE + MISLEADING:
        other = VOCABULARIES[random.choice(group.codes)]
        return random.choice(other.nouns), random.choice(group.traits)
    return random.choice(own.nouns), random.choice(own.traits + group.traits)


def _title(random: Random, name: str, trait: str, group: CategoryGroup) -> str:
    shared, brand = random.choice(group.nouns), random.choice(group.brands)
    parts = [part for part in (name, shared if not name or random.random() < 0.5 else "", brand) if part]
    random.shuffle(parts)
    separator = random.choice((" - ", " ", ", ", " "))
    ending = random.choice(("", random.choice(COLORS), random.choice(SALES), f"Réf {random.randrange(10**7, 10**8)}"))
    size = random.choice(
        ("", "", f"{random.randrange(1, 99)} x {random.randrange(1, 99)} cm", f"lot de {random.randrange(2, 20)}")
    )
    title = separator.join(part for part in (" ".join(parts), trait, size, ending) if part)
    style = random.random()
    return title.upper() if style < 0.08 else title.title() if style < 0.5 else title[:1].upper() + title[1:]


def _description(random: Random, title: str, trait: str, group: CategoryGroup, *, season: bool) -> str:
    sentences = random.sample(group.phrases, random.randrange(1, 3))
    if season:
        sentences.append(random.choice(SEASON_PHRASES))
    if random.random() < 0.4:
        sentences.insert(0, f"{title}.")
    markup = random.random()
    if markup < 0.25:
        listed = "".join(f"<li>{part}</li>" for part in (trait, random.choice(COLORS)))
        return "<br />".join(html.escape(sentence) for sentence in sentences) + f"<ul>{listed}</ul>"
    if markup < 0.35:
        return "<p><strong>" + "</strong></p><p>".join(sentences) + "</p>"
    return " ".join(sentences)


def _damage(random: Random, text: str) -> str:
    """Sometimes insert HTML entities or mojibake, as exports do."""
    chance = random.random()
    if chance < ENTITIES:
        return text.replace("&", "&amp;").replace("é", "&eacute;").replace("è", "&egrave;").replace("'", "&#39;")
    if chance < ENTITIES + MOJIBAKE:
        return text.replace("é", "Ã©").replace("è", "Ã¨").replace("ê", "Ãª").replace("°", "Â°")
    return text
