import codecs
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.tables.text_encodings import MIXED, decoded_lines, detect_encoding
from product_classifier.errors import CatalogueError
from product_classifier.text.mojibake import repair

FRENCH = "àâäçéèêëîïôöùûüÿœæÀÂÇÉÈÊÎÔÛŒ°«»€’…–"
TITLES = {
    "cp1252": "Crème brûlée à l'ancienne, 5 €\nÉté à Orléans – «neuf»\n",
    "cp1251": "Красное платье\nСиние джинсы\n",
    "cp850": "Crème brûlée, pâté, été\nThé noir\n",
    "shift_jis": "赤いドレス\n青いジーンズ\n",
}


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "products.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        pytest.param(b"plain", "utf-8", id="ASCII"),
        pytest.param("été".encode(), "utf-8", id="UTF-8"),
        pytest.param("été".encode("utf-8-sig"), "utf-8-sig", id="UTF-8 with a mark"),
        pytest.param("été".encode("utf-16"), "utf-16", id="UTF-16"),
        pytest.param(codecs.BOM_UTF16_BE + "été".encode("utf-16-be"), "utf-16", id="UTF-16, big end first"),
        pytest.param(TITLES["cp1252"].encode("cp1252"), "cp1252", id="Windows-1252"),
        pytest.param(b"a" * (1024 * 1024 - 1) + "é".encode(), "utf-8", id="a character across two blocks"),
    ],
)
def test_the_encoding_of_a_whole_file_is_detected(tmp_path: Path, data: bytes, encoding: str) -> None:
    assert encoding == detect_encoding(_file(tmp_path, data))


@pytest.mark.parametrize("encoding", ["cp1251", "cp850", "shift_jis"])
def test_another_encoding_is_an_error_and_never_mojibake(tmp_path: Path, encoding: str) -> None:
    path = _file(tmp_path, TITLES[encoding].encode(encoding))

    with pytest.raises(
        CatalogueError, match=r"products\.csv line 1: byte 0x.* does not look like cp1252; set `encoding:`"
    ):
        detect_encoding(path)
    assert TITLES[encoding] == "".join(decoded_lines(path, encoding))


def test_one_bad_byte_in_a_file_of_utf_8_is_an_error_with_its_line(tmp_path: Path) -> None:
    data = "été\n".encode() * 300_000 + b"caf\xe9\n" + "été\n".encode() * 10
    path = _file(tmp_path, data)

    with pytest.raises(CatalogueError, match=r"line 300001: byte 0xe9 \(position 4 of the line\).*`encoding: mixed`"):
        detect_encoding(path)


def test_a_line_that_is_not_in_the_given_encoding_is_an_error(tmp_path: Path) -> None:
    path = _file(tmp_path, b"a\nb\n" + "é".encode("cp1252") + b"\n")

    with pytest.raises(CatalogueError, match=r"is not utf-8"):
        list(decoded_lines(path, "utf-8"))
    with pytest.raises(CatalogueError, match=r"encoding: 'klingon' is not known"):
        list(decoded_lines(path, "klingon"))


def test_lines_of_different_encodings_are_decoded(tmp_path: Path) -> None:
    data = "été\n".encode() + "hiver à Orléans\n".encode("cp1252") + "prix: 5 €\n".encode("cp1252")

    assert list(decoded_lines(_file(tmp_path, data), MIXED)) == ["été\n", "hiver à Orléans\n", "prix: 5 €\n"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path, encoding: str) -> None:
    path = _file(tmp_path, "a,é\r\nb\n".encode(encoding))

    assert list(decoded_lines(path, MIXED)) == ["a,é\r\n", "b\n"] == list(decoded_lines(path, detect_encoding(path)))


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded(data: bytes) -> None:
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")  # may have a byte too few for one character
    text = data.removeprefix(b"\xef\xbb\xbf")
    with TemporaryDirectory() as folder:
        assert utf16 or bool(text) == bool(list(decoded_lines(_file(Path(folder), data), MIXED)))


@pytest.mark.parametrize("char", FRENCH)
def test_mojibake_is_repaired(char: str) -> None:
    damaged = "".join(
        chr(b) if b in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([b]).decode("cp1252") for b in char.encode()
    )

    assert repair(f"a{damaged}b") == f"a{char}b"


def test_double_mojibake_is_repaired() -> None:
    assert repair("été".encode().decode("cp1252").encode().decode("cp1252")) == "été"


@given(st.text(st.sampled_from(FRENCH.replace("Â", "").replace("â", "") + "abc 12"), max_size=60))
def test_correct_french_is_unchanged(text: str) -> None:
    assert repair(text) == text.strip()


@pytest.mark.parametrize("text", ["CAFÉ» fermé", "PROGRÈS…", "GÂTEAU", "pâté", "São Paulo", "Ärzte"])
def test_words_that_resemble_mojibake_are_unchanged(text: str) -> None:
    assert repair(text) == text


def test_control_characters_are_removed() -> None:
    assert repair("a\x00b\x1f c\n\x7f") == "ab c"
