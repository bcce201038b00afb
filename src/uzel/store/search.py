"""Full-text search: which texts hold these words, the newest first, and where in them.

All words of a query must be there, in any order and form («сообщение» finds «сообщения»); what stands in quotes must be
there in that order, one behind the other; the last word counts as far as it is typed («сооб» finds both) unless
something follows it. The index holds stems, and words beside them where they differ, for what is typed is no stem yet;
and the chat as one more word, so that a small chat is searched as fast as a large one. It holds no positions, which
would double it: phrases and highlights are found in the texts themselves. Whatever the query, it is made of words alone
before SQLite sees it. Counterparts: `words`; `texts`, which adds and removes in the transaction of the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from uzel.names import Uin
from uzel.store.connection import Connection
from uzel.store.records import TextRecord
from uzel.store.text_rows import text_record
from uzel.store.words import Word, words_of

MOST_QUERY = 1000
"""Characters of a query that are looked at."""
MOST_QUERY_WORDS = 16
"""Words of a query that are looked at: each costs a walk through the index."""
MOST_SPANS = 100
"""Highlights of one hit: more are no help to anyone."""
MOST_READ = 200_000
"""Characters of texts that are read for one query, some 30 ms: past it hits have no highlights, and with a phrase the
search ends, for the index cannot tell which texts have the words in that order."""
LEAST_READ = 200
"""What a shorter text counts as: fetching it takes as long as reading so many characters."""

_QUOTES = re.compile('["«»“”„]')
_LAST = 2**63 - 1
_ADD = "INSERT INTO text_index (rowid, stems, words, chat) VALUES (?, ?, ?, ?)"
_REMOVE = "DELETE FROM text_index WHERE rowid = ?"
_FIND = """
    SELECT text_records.* FROM text_index JOIN text_records ON text_records.number = text_index.rowid
    WHERE text_index MATCH ? AND text_index.rowid < ? ORDER BY text_index.rowid DESC
"""
_MERGE = "INSERT INTO text_index (text_index, rank) VALUES ('merge', ?)"
_CHANGES = "SELECT total_changes()"


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that was found, and where: ranges of its characters, [start, end), in order and apart from one another."""

    record: TextRecord
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Query:
    """What is looked for: single words, `typed` as far as one is, and runs of several words."""

    words: tuple[Word, ...]
    typed: Word | None
    phrases: tuple[tuple[Word, ...], ...]

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.typed or self.phrases)

    def terms(self, chat: Uin | None) -> str:
        """What the index must hold; words are letters and digits alone, so nothing needs to be escaped."""
        stems = [word.stem for words in (self.words, *self.phrases) for word in words]
        terms = [f'stems : "{stem}"' for stem in dict.fromkeys(stems)]
        if self.typed:
            terms.append(f'(stems : "{self.typed.stem}" OR {{stems words}} : "{self.typed.word}" *)')
        if chat is not None:
            terms.append(f'chat : "{int(chat)}"')
        return " AND ".join(terms)

    def spans(self, text: str) -> tuple[tuple[int, int], ...] | None:
        """Where the words of the text stand that are meant; None when a phrase is not there after all."""
        words = list(words_of(text))
        stems = {word.stem for word in self.words}
        if self.typed:
            stems.add(self.typed.stem)
        spans = {(word.start, word.end) for word in words if word.stem in stems or self._is_typed(word)}
        for phrase in self.phrases:
            found = list(_runs(phrase, words))
            if not found:
                return None
            spans.update((word.start, word.end) for run in found for word in run)
        return tuple(sorted(spans)[:MOST_SPANS])

    def _is_typed(self, word: Word) -> bool:
        if self.typed is None:
            return False
        return word.word.startswith(self.typed.word) or word.stem.startswith(self.typed.word)


def _runs(phrase: Sequence[Word], words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """The places in `words` where the words of the phrase stand one behind the other, in any of their forms."""
    wanted = [word.stem for word in phrase]
    for at in range(len(words) - len(wanted) + 1):
        if words[at].stem == wanted[0]:
            run = words[at : at + len(wanted)]
            if [word.stem for word in run] == wanted:
                yield run


class Search:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, number: int, chat: Uin, text: str) -> None:
        """Index a new text."""
        words = list(words_of(text))
        stems = " ".join(word.stem for word in words)
        others = " ".join(dict.fromkeys(word.word for word in words if word.word != word.stem))
        self._db.execute(_ADD, (number, stems, others, str(int(chat))))

    def remove(self, numbers: Iterable[int]) -> None:
        """Texts are deleted: they are not found from now on. Their words leave the file with `tidy`."""
        self._db.executemany(_REMOVE, [(number,) for number in numbers])

    def find(self, query: str, chat: Uin | None = None, before: int | None = None, limit: int = 50) -> list[Hit]:
        """The newest texts that match, of one chat or of all, with numbers below `before`, the newest first.

        Any string is a query; one without words finds nothing. Long texts and rare phrases may meet `MOST_READ`.
        """
        wanted = _read(query)
        if wanted.is_empty or limit < 1:
            return []
        upto = _LAST if before is None else min(max(before, 0), _LAST)
        with closing(self._db.execute(_FIND, (wanted.terms(chat), upto))) as rows:
            return list(islice(_hits(map(text_record, rows), wanted), limit))

    def tidy(self, pages: int = 100) -> bool:
        """Merge parts of the index, so that words of deleted texts leave it and searches stay fast.

        Writes about so many pages of 4 KiB, 100 in some 30 ms; False when nothing is left to do. The caller repeats it
        when there is time.
        """
        before = self._db.execute(_CHANGES).fetchall()[0][0]
        self._db.execute(_MERGE, (-pages,))
        return bool(self._db.execute(_CHANGES).fetchall()[0][0] - before >= 2)


def _read(query: str) -> _Query:
    """What stands between quotes is a phrase. The word at the very end is still being typed, in an open quote too."""
    *parts, final = _QUOTES.split(query[:MOST_QUERY])
    single: list[Word] = []
    phrases: list[tuple[Word, ...]] = []
    typed = None
    left = MOST_QUERY_WORDS
    for place, part in enumerate([*parts, final]):
        words = list(islice(words_of(part), left))
        left -= len(words)
        if place == len(parts) and words and words[-1].end == len(final):
            typed = words.pop()
        if place % 2 and len(words) > 1:
            phrases.append(tuple(words))
        else:
            single += words
    return _Query(tuple(single), typed, tuple(phrases))


def _hits(records: Iterable[TextRecord], wanted: _Query) -> Iterator[Hit]:
    left = MOST_READ
    for record in records:
        spans: tuple[tuple[int, int], ...] | None = ()
        if left > 0:
            left -= max(len(record.text), LEAST_READ)
            spans = wanted.spans(record.text)
        elif wanted.phrases:
            return
        if spans is not None:
            yield Hit(record, spans)
