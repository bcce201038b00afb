"""Search: what a person means is found, the newest first, whatever they type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.message_tables import ANN, BOB, KEY_A, NOW, Database, an_id, in_memory, texts_of
from uzel.names import Uin
from uzel.store import search as search_module
from uzel.store.search import MOST_QUERY, MOST_QUERY_WORDS, MOST_SPANS, Hit, Search
from uzel.store.texts import Texts
from uzel.store.words import words_of


@pytest.fixture
def texts(db: Database) -> Texts:
    return texts_of(db)


@pytest.fixture
def search(db: Database) -> Search:
    return Search(db)


def say(texts: Texts, *said: str, chat: Uin = ANN) -> list[int]:
    return [texts.receive_base(chat, an_id(0), text, NOW, NOW).number for text in said]


def found(hits: list[Hit]) -> list[str]:
    return [hit.record.text for hit in hits]


def marked(hit: Hit) -> list[str]:
    return [hit.record.text[start:end] for start, end in hit.spans]


@pytest.mark.parametrize(
    ("query", "text", "highlights"),
    [
        ("сообщение ", "Два сообщения, одно СООБЩЕНИЕ.", ["сообщения", "СООБЩЕНИЕ"]),
        ("сообщений", "Пришло сообщение", ["сообщение"]),
        ("елка", "в лесу ёлка", ["ёлка"]),
        ("ёлка ", "елки", ["елки"]),
        ("е\u0308лка", "ЁЛКА", ["ЁЛКА"]),
        ("замок", "за\u0301мок и замо\u0301к", ["за\u0301мок", "замо\u0301к"]),
        ("messages", "A message.", ["message"]),
        ("message ", "Messages!", ["Messages"]),
        ("сооб", "сообщения", ["сообщения"]),
        ("сообщени", "сообщения", ["сообщения"]),
        ("с", "и сообщения", ["сообщения"]),
        ("runni", "running home", ["running"]),
        ("42", "ответ: 4242", ["4242"]),
        ("книга стол", "На столе книги", ["столе", "книги"]),
        ("книга сто", "На столе книги", ["столе", "книги"]),
        ('"красная книга"', "красную книгу", ["красную", "книгу"]),
        ("«красная книга» ", "красную книгу", ["красную", "книгу"]),
        ('"красная книга" стол', "стол, красная книга", ["стол", "красная", "книга"]),
        ('"а б" в', "в а б, а-б; а в б", ["в", "а", "б", "а", "б", "в"]),
        ('"красная кни', "книга красная", ["книга", "красная"]),
        ("strasse", "Straße", ["Straße"]),
        ("NOT NEAR( * stems:", "stems not near", ["stems", "not", "near"]),
    ],
)
def test_what_is_meant_is_found_and_marked(
    texts: Texts, search: Search, query: str, text: str, highlights: list[str]
) -> None:
    say(texts, text, "ничего такого")
    (hit,) = search.find(query)
    assert hit.record.text == text
    assert marked(hit) == highlights


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("сооб ", "сообщения"),
        ("ообщ", "сообщения"),
        ("книга стол", "книга"),
        ('"красная книга"', "книга красная"),
        ('"красная книга"', "красная большая книга"),
        ('"кни"', "книга"),
        ("1001", "в этом чате"),
        ("", "что угодно"),
        (" -- \0 🙂 \" '", "что угодно"),
    ],
)
def test_nothing_else_is_found(texts: Texts, search: Search, query: str, text: str) -> None:
    say(texts, text)
    assert search.find(query) == []


def test_the_newest_come_first_and_pages_go_on(texts: Texts, search: Search) -> None:
    numbers = say(texts, *[f"слово {n}" for n in range(7)])
    assert [hit.record.number for hit in search.find("слово")] == numbers[::-1]
    assert [hit.record.number for hit in search.find("слово", limit=2)] == [numbers[6], numbers[5]]
    assert [hit.record.number for hit in search.find("слово", before=numbers[5], limit=2)] == [numbers[4], numbers[3]]
    assert search.find("слово", before=numbers[0]) == []
    assert search.find("слово", before=-5) == []
    assert len(search.find("слово", before=2**70)) == 7
    assert search.find("слово", limit=0) == []


def test_one_chat_is_searched_alone(texts: Texts, search: Search) -> None:
    say(texts, "слово у Ани")
    say(texts, "слово у Боба 1001", chat=BOB)
    assert found(search.find("слово", ANN)) == ["слово у Ани"]
    assert found(search.find("слово", BOB)) == ["слово у Боба 1001"]
    assert found(search.find("слово", Uin(1))) == []
    assert found(search.find("слово")) == ["слово у Боба 1001", "слово у Ани"]


def test_what_is_queued_received_retried_and_deleted_is_known(texts: Texts, search: Search) -> None:
    own = texts.queue(ANN, an_id(1), "своё слово", None, NOW, NOW)
    theirs = texts.receive(ANN, KEY_A, an_id(2), "чужое слово", None, NOW, NOW)
    assert theirs is not None
    assert [hit.record for hit in search.find("слово")] == [theirs, own]
    texts.failed(own.number, "x", NOW)
    again = texts.retry(own.number, NOW)
    assert [hit.record for hit in search.find("слово")] == [again, theirs]
    texts.delete(theirs.number, NOW)
    assert [hit.record for hit in search.find("слово")] == [again]
    texts.delete_chat(ANN, NOW)
    assert search.find("слово") == []


def test_what_was_rolled_back_is_not_found(db: Database, texts: Texts, search: Search) -> None:
    say(texts, "слово")
    db.execute("ROLLBACK")
    db.execute("BEGIN IMMEDIATE")
    assert search.find("слово") == []
    say(texts, "слово")
    assert len(search.find("слово")) == 1


@pytest.mark.parametrize("tidied_before", [False, True])
def test_words_of_a_deleted_text_leave_the_index(
    texts: Texts, search: Search, db: Database, tidied_before: bool
) -> None:
    db.execute("COMMIT")
    for said in ["щупальце", *["осталось"] * 50]:  # each commit writes a part of the index
        db.execute("BEGIN IMMEDIATE")
        say(texts, said)
        db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    if tidied_before:
        tidy(search)
    texts.delete(1, NOW)
    db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    assert "упальц".encode() in index(db)
    tidy(search)
    assert "упальц".encode() not in index(db)
    assert found(search.find("осталось")) == ["осталось"] * 50
    assert not search.tidy()


def tidy(search: Search) -> None:
    while search.tidy(10):
        pass


def index(db: Database) -> bytes:
    """What the index holds, but for what neighbouring words begin with in common."""
    return b"".join(row[0] for row in db.execute("SELECT block FROM text_index_data"))


def test_a_long_query_is_read_as_far_as_it_matters(texts: Texts, search: Search) -> None:
    words = [f"слово{n}" for n in range(MOST_QUERY_WORDS)]
    say(texts, " ".join(words))
    assert len(search.find(" ".join([*words, "чего", "нет"]))) == 1
    assert search.find(" ".join([*words[:-1], "нет"])) == []
    assert len(search.find("слово1" + " " * MOST_QUERY + "нет")) == 1
    assert len(search.find('"слово1" ' * 5000)) == 1
    assert len(search.find("слово1\u0301" + "\u0320\u0301" * 500_000)) == 1


def test_highlights_are_bounded(texts: Texts, search: Search) -> None:
    say(texts, "слово " * 1000)
    (hit,) = search.find("слово")
    assert len(hit.spans) == MOST_SPANS
    assert hit.spans[:2] == ((0, 5), (6, 11))


def test_reading_texts_is_bounded(texts: Texts, search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "MOST_READ", 500)
    say(texts, "одно другое", *["другое одно"] * 5)
    assert [bool(hit.spans) for hit in search.find("одно")] == [True, True, True, False, False, False]
    assert search.find('"одно другое"') == []
    monkeypatch.setattr(search_module, "MOST_READ", 1500)
    assert found(search.find('"одно другое"')) == ["одно другое"]


WORDS = st.text(st.sampled_from("абёжaбzй1\u0301"), max_size=6)
WILD = st.one_of(
    st.text(max_size=40),
    st.text(st.sampled_from('"«»*:()^-+{}NOTANDOR\0\ud800 аб_1'), max_size=40),
    st.lists(
        st.sampled_from(['"', "AND", "OR", "NOT", "NEAR(", ")", "*", "^", "stems :", "слово", "-", ","]), max_size=9
    ).map(" ".join),
)


@pytest.fixture(scope="module")
def filled() -> Iterator[Database]:
    db = in_memory()
    say(texts_of(db), "слово а б аб", 'NOT AND "слово" OR', "{stems} : слово1 - a", "\0 слово \u0301 я\u0301")
    yield db
    db.close()


@settings(max_examples=60, deadline=None)
@given(WILD, st.booleans())
def test_any_string_is_a_query(filled: Database, query: str, in_chat: bool) -> None:
    for hit in Search(filled).find(query, ANN if in_chat else None):
        ends = [0, *(end for _, end in hit.spans)]
        assert all(end <= start < stop for end, (start, stop) in zip(ends, hit.spans, strict=False))
        assert ends[-1] <= len(hit.record.text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(WORDS, max_size=5).map(" ".join), max_size=6), st.lists(WORDS, min_size=1, max_size=2))
def test_found_is_what_has_all_the_words(said: list[str], asked: list[str]) -> None:
    db = in_memory()
    db.execute("BEGIN")
    say(texts_of(db), *said)
    wanted = [word for part in asked for word in words_of(part)]
    expected = [
        text
        for text in reversed(said)
        if wanted and {word.stem for word in wanted} <= {word.stem for word in words_of(text)}
    ]
    assert found(Search(db).find(" ".join(asked) + " ")) == expected
    typed = [text for text in reversed(said) if any(w.word.startswith("аб") for w in words_of(text))]
    assert set(typed) <= set(found(Search(db).find("аб")))
    db.close()
