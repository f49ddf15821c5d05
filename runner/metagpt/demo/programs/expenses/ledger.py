"""A ledger of expenses, kept in a JSON file. Amounts are whole cents."""

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

AMOUNT = re.compile(r"(\d{1,9})(?:[.,](\d{1,2}))?")


def cents(text: str) -> int:
    """An amount as typed (12, 12.5 or 12,50) in cents. Raises ValueError if it is none."""
    amount = AMOUNT.fullmatch(text)
    if not amount:
        raise ValueError(text)
    return int(amount[1]) * 100 + int((amount[2] or "").ljust(2, "0"))


def shown(amount: int) -> str:
    """An amount in cents as people write it."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02}"


@dataclass(frozen=True)
class Expense:
    amount: int
    category: str


class Ledger:
    """Expenses and a budget. path: where they are saved; None keeps them in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.expenses: list[Expense] = []
        self.budget: int | None = None
        if path and path.exists():
            saved = json.loads(path.read_text(encoding="utf-8"))
            self.expenses = [Expense(**item) for item in saved["expenses"]]
            self.budget = saved["budget"]

    @property
    def total(self) -> int:
        return sum(expense.amount for expense in self.expenses)

    @property
    def left(self) -> int | None:
        """What is left of the budget, below zero if it is overdrawn; None without a budget."""
        return None if self.budget is None else self.budget - self.total

    def spend(self, amount: int, category: str) -> None:
        """Note an expense."""
        self.expenses.append(Expense(amount, category.lower()))
        self._save()

    def set_budget(self, amount: int) -> None:
        self.budget = amount
        self._save()

    def sums(self) -> list[tuple[str, int]]:
        """The sum of every category, the largest first."""
        sums: Counter[str] = Counter()
        for expense in self.expenses:
            sums[expense.category] += expense.amount
        return sums.most_common()

    def _save(self) -> None:
        if self.path:
            saved = {"budget": self.budget, "expenses": [asdict(expense) for expense in self.expenses]}
            self.path.write_text(json.dumps(saved, indent=2), encoding="utf-8")
