"""A quiz over cards: what is missed comes again."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    question: str
    answer: str

    def accepts(self, words: str) -> bool:
        """Whether the words are the answer; case, spaces and a full stop do not count."""
        return plain(words) == plain(self.answer)


CARDS = (
    Card("What is the capital of Australia?", "Canberra"),
    Card("How many sides does a hexagon have?", "6"),
    Card("Which planet is closest to the sun?", "Mercury"),
    Card("What is the chemical symbol of gold?", "Au"),
    Card("Who wrote Hamlet?", "Shakespeare"),
)


def plain(words: str) -> str:
    return "".join(words.casefold().split()).rstrip(".")


class Quiz:
    """A round over a set of cards. score: how many were known at the first try."""

    def __init__(self, cards: tuple[Card, ...] = CARDS) -> None:
        self.total = len(cards)
        self.queue = deque(cards)
        self.missed: set[Card] = set()
        self.score = 0

    @property
    def over(self) -> bool:
        return not self.queue

    @property
    def question(self) -> str:
        return self.queue[0].question

    def answer(self, words: str) -> Card:
        """Answer the question: a card that is missed goes to the end of the queue. Returns the card."""
        card = self.queue.popleft()
        if not card.accepts(words):
            self.missed.add(card)
            self.queue.append(card)
        elif card not in self.missed:
            self.score += 1
        return card

    def __str__(self) -> str:
        return f"{self.score} of {self.total} at the first try." if self.over else self.question
