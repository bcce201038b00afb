"""The words of a text as search compares them: where each stands, what it is called, what it is derived from.

A word is a run of letters and digits; the marks on it (stress, accents that do not compose) do not count, nor does the
difference of capitals, of compatible forms (NFKC), and of ё from е. Its stem is Snowball's: Russian for Cyrillic words,
English for ASCII ones, the word itself for all others. The same is done to texts and to queries. Whatever the text is,
the time is linear in its length: marks are cut off before they are put into order, which takes the square of their
number. Counterpart: `search`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import Stemmer

MOST_WORD = 64
"""Characters of a word that count: longer ones are no words of a language, and the index need not hold them whole."""
MOST_RAW_WORD = 256
"""Characters of a word, marks included, that are looked at: four for each that counts."""
MOST_WORDS = 20_000
"""Words of one text that are looked at, some 40 pages: what indexing and searching one text may cost is bounded."""

_RUSSIAN = Stemmer.Stemmer("russian", 0)  # 0: it keeps no words, `_normal` does
_ENGLISH = Stemmer.Stemmer("english", 0)
_CYRILLIC = re.compile("[а-я]+")


class Word(NamedTuple):
    """A word of a text: text[start:end], as it is compared, and its stem."""

    start: int
    end: int
    word: str
    stem: str


def words_of(text: str) -> Iterator[Word]:
    """The first `MOST_WORDS` words of any string, in order. Words of marks alone are passed over."""
    # An underscore joins names in programs; each is a word.
    for count, found in enumerate(_runs().finditer(text.replace("_", " "))):
        if count == MOST_WORDS:
            return
        word, stem = _normal(found[0][:MOST_RAW_WORD])
        if word:
            yield Word(found.start(), found.end(), word, stem)


@lru_cache(maxsize=8192)
def _normal(raw: str) -> tuple[str, str]:
    """The word and its stem. Texts repeat their words: eight of ten are found here."""
    word = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", raw).casefold()).replace("ё", "е")
    if not word.isalnum():
        word = "".join(character for character in word if character.isalnum())
    word = word[:MOST_WORD]
    return word, _stem(word)


def _stem(word: str) -> str:
    if _CYRILLIC.fullmatch(word):
        return str(_RUSSIAN.stemWord(word)) or word
    if word.isascii() and word.isalpha():
        return str(_ENGLISH.stemWord(word)) or word
    return word


@cache
def _runs() -> re.Pattern[str]:
    """Finds words. Made at first use, because finding out which characters are marks takes some 10 ms.

    Marks beyond the first 65,536 characters are those of scripts no longer written; there they separate words.
    """
    marks = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"\w+(?:[{marks}]+\w*)*")
