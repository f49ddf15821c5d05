"""What earlier attempts have found out: each thing is given once, in its order, to whoever asks the same again."""

from runner.attempt import Checkpoint


class Recall:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self._recorded = {key: list(reversed(values)) for key, values in checkpoint.recorded.items()}

    def __len__(self) -> int:
        """How many things have not been given yet."""
        return sum(map(len, self._recorded.values()))

    def take(self, key: str) -> str | None:
        """The next answer to what `key` stands for; None if no attempt has come that far."""
        values = self._recorded.get(key)
        return values.pop() if values else None
