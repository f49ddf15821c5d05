"""One round of hangman."""

import string

WORDS = ("bridge", "candle", "forest", "garden", "hammer", "island", "kettle", "ladder", "mirror", "pencil", "window")
MISSES = 6


class Hangman:
    """A hidden word, and the letters tried so far."""

    def __init__(self, word: str, misses: int = MISSES) -> None:
        self.word = word.lower()
        self.misses = misses
        self.tried: list[str] = []

    def guess(self, letter: str) -> bool:
        """Try a letter. True if the word holds it; ValueError if it is no letter, or was tried before."""
        letter = letter.lower()
        if len(letter) != 1 or letter not in string.ascii_lowercase or letter in self.tried:
            raise ValueError(letter)
        self.tried.append(letter)
        return letter in self.word

    @property
    def masked(self) -> str:
        return " ".join(letter if letter in self.tried else "_" for letter in self.word)

    @property
    def left(self) -> int:
        """How many misses are left."""
        return self.misses - sum(letter not in self.word for letter in self.tried)

    @property
    def won(self) -> bool:
        return set(self.word) <= set(self.tried)

    @property
    def over(self) -> bool:
        return self.won or self.left == 0

    def __str__(self) -> str:
        return f"{self.masked}   tried: {''.join(self.tried) or '-'}   misses left: {self.left}"
