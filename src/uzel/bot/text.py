"""A text as a bot's function gets it, and the answers that it gives."""

from __future__ import annotations

from uzel.core.messenger import check_text

MOST_ANSWERS = 16
"""Answers to one text, as the local interface takes them: who has more to say sends texts of their own."""


class Text:
    """A received text. What it says is a stranger's word: never run it, never put it into a command line or a page.

    `number` orders all texts of the profile and never comes twice; `sender` is who wrote it, proven; `at` is the
    sender's clock, milliseconds since 1970 UTC; `id` its 16 bytes in hex.
    """

    __slots__ = ("answers", "at", "id", "number", "sender", "text")

    def __init__(self, number: int, sender: int, text: str, at: int, id: str) -> None:  # noqa: A002 - its name
        self.number = number
        self.sender = sender
        self.text = text
        self.at = at
        self.id = id
        self.answers: list[str] = []

    def __repr__(self) -> str:
        return f"<Text {self.number}>"  # never what it says

    async def reply(self, answer: str) -> None:
        """Answer. It goes out when the function has ended, together with whatever else it answers; not if it fails. An
        empty one is none.

        Raises `TextTooLongError`, `UnicodeEncodeError`; `ValueError` beyond 16 answers.
        """
        self.add(answer)

    def add(self, answer: str) -> None:
        """The same for a plain function."""
        if not answer:
            return
        check_text(answer)
        if len(self.answers) >= MOST_ANSWERS:
            raise ValueError(f"at most {MOST_ANSWERS} answers to one text")
        self.answers.append(answer)
