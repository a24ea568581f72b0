"""Pieces of texts that break or slow down what reads them, and texts made of them."""

from hypothesis import strategies as st

UNITS = [
    *("&#9", "&#x", "&#1111111;", "&amp;", "&amp;amp;", "&a", "&", "&#xD800;", "&#x110000;", "&#0;", "&" + "a" * 20),
    *("<", "<a", "<a>", "<!--", "</", ">", "< >", "Ã©", "ƒÃ", "Ãƒ", "ÃÂ", "â€™", "â€", "nan", "null"),
    *(
        "\u0301",
        "\u0344",
        "\uff9e",
        "\u0301\u0316",
        "a\u0316\u0301",
        "\U0001d165",
        "\ufe0f",
        "\u037a",
        "\u1100",
        "\uac01",
    ),
    *("\ufdfa", "İ", "ß", "Σ", "ǆ", "\u0390", "\u200b", "\u200ba", "\xad", "\u202e", "\ud800", "\0", "\x01", "\x85"),
    *("é", "a", "日", "🎲", "!", "_", " ", "\n", "\xa0"),
]

ADVERSARIAL_TEXTS = st.lists(st.sampled_from(UNITS) | st.characters(), max_size=12).map("".join)
"""Short texts of adversarial pieces and any characters, lone surrogates among them."""

VALID_TEXTS = ADVERSARIAL_TEXTS.map(lambda text: text.replace("\0", "").encode(errors="ignore").decode())
"""Those that a request may have: without NUL and lone surrogates."""
