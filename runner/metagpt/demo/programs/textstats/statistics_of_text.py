"""Numbers about a text."""

import re
from collections import Counter
from dataclasses import dataclass

WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
SENTENCE = re.compile(r"[^.!?]*\w[^.!?]*[.!?]*")
SMALL_WORDS = frozenset("a an and are as at be but by for from in is it of on or that the to was with".split())
WORDS_PER_MINUTE = 220


@dataclass(frozen=True)
class Statistics:
    """What is known about a text. top: its most used words with their counts."""

    characters: int
    words: int
    sentences: int
    top: tuple[tuple[str, int], ...]

    @property
    def words_per_sentence(self) -> float:
        return self.words / self.sentences if self.sentences else 0.0

    @property
    def reading_seconds(self) -> int:
        return round(self.words * 60 / WORDS_PER_MINUTE)

    def __str__(self) -> str:
        return (
            f"{self.characters:6} characters\n{self.words:6} words\n{self.sentences:6} sentences, "
            f"{self.words_per_sentence:.1f} words each\n{self.reading_seconds:6} seconds to read"
        )


def measure(text: str, top: int = 5) -> Statistics:
    """Measure a text; top: how many of its most used words to keep, small words left out."""
    words = [word.lower() for word in WORD.findall(text)]
    counted = Counter(word for word in words if word not in SMALL_WORDS)
    return Statistics(len(text), len(words), len(SENTENCE.findall(text)), tuple(counted.most_common(top)))
