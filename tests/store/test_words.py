"""Words: found where they stand, equal when a person would call them equal, whatever the text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uzel.store import words
from uzel.store.words import MOST_RAW_WORD, MOST_WORD, MOST_WORDS, words_of

TEXTS = st.text(st.one_of(st.characters(codec=None), st.sampled_from("аёЁйИ\u0301\u0308\u0306 _-'aZ9ß№½ﷺ\0\ud800")))


def normal(text: str) -> list[str]:
    return [word.word for word in words_of(text)]


def stems(text: str) -> list[str]:
    return [word.stem for word in words_of(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Привет, мир!", ["привет", "мир"]),
        ("ЁЛКА", ["елка"]),
        ("е\u0308лка", ["елка"]),
        ("йод", ["йод"]),
        ("и\u0306од", ["йод"]),
        ("за\u0301мок", ["замок"]),
        ("snake_case кто-то don't", ["snake", "case", "кто", "то", "don", "t"]),
        ("Straße ΣΑΣ", ["strasse", "σασ"]),
        ("ﬁne ㎏ Ⅷ", ["fine", "viii"]),
        ("12 ½", ["12", "12"]),
        ("日本語", ["日本語"]),
        ("\u0301\u0301 -- \0 \ud800 🙂", []),
        ("a\0b\u202ec", ["a", "b", "c"]),
        ("", []),
    ],
)
def test_words_as_they_are_compared(text: str, expected: list[str]) -> None:
    assert normal(text) == expected


@pytest.mark.parametrize(
    "forms",
    [
        "сообщение сообщения сообщений СООБЩЕНИЕМ",
        "ёлка елка ёлки ёлку",
        "message messages Messages",
        "running run runs",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len(set(stems(forms))) == 1


def test_each_script_has_its_own_stemmer() -> None:
    assert stems("книгами books livres2 büchern βιβλία") == [
        "книг",
        "book",
        "livres2",
        "büchern",
        "βιβλία",
    ]


def test_a_word_stands_where_it_was_written() -> None:
    text = "Ах, за\u0301мок_Ёлка!"
    assert [text[word.start : word.end] for word in words_of(text)] == ["Ах", "за\u0301мок", "Ёлка"]


@given(TEXTS)
def test_any_text_has_words_in_order_made_of_letters_and_digits(text: str) -> None:
    end = 0
    for word in words_of(text):
        assert end <= word.start < word.end <= len(text)
        assert word.word.isalnum()
        assert word.stem.isalnum()
        assert len(word.word) <= MOST_WORD
        end = word.end


@given(st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF)))  # marks beyond separate words
def test_capitals_composition_and_stress_make_no_difference(text: str) -> None:
    assert normal(unicodedata.normalize("NFC", text)) == normal(unicodedata.normalize("NFD", text))


@given(TEXTS)
def test_a_word_is_itself_again(text: str) -> None:
    for word in words_of(text):
        again = list(words_of(word.word))
        assert [(a.word, a.stem) for a in again] == [(word.word, word.stem)]


def test_a_million_marks_are_cut_before_they_are_put_into_order(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    normalize = unicodedata.normalize

    def measured(form: str, text: str) -> str:
        nonlocal longest
        longest = max(longest, len(text))
        return normalize(form, text)  # type: ignore[arg-type]

    monkeypatch.setattr(words.unicodedata, "normalize", measured)  # type: ignore[attr-defined]
    text = "я" + "\u0301\u0320" * 500_000 + " конец"
    assert normal(text) == ["я", "конец"]
    assert longest <= 18 * MOST_RAW_WORD


def test_what_one_text_may_cost_is_bounded() -> None:
    assert len(normal("а " * (MOST_WORDS + 5))) == MOST_WORDS
    assert normal("ж" * 1_000_000) == ["ж" * MOST_WORD]
    assert len(normal("ﷺ" * 300_000)[0]) == MOST_WORD
