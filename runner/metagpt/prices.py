"""What models cost: MetaGPT's table, which the user's own prices extend and overrule."""

from collections.abc import Mapping

from metagpt.utils.token_counter import TOKEN_COSTS

from runner.attempt import Price

FREE = Price(input=0.0, output=0.0)  # the demo model


def price_of(model: str, own: Mapping[str, Price]) -> Price | None:
    """The price of a model; None if it is not known. Routers put the maker's name before the model's."""
    names = (model, model.rpartition("/")[2])
    for name in names:
        if name in own:
            return own[name]
    for name in names:
        if name in TOKEN_COSTS:
            per_thousand = TOKEN_COSTS[name]
            return Price(input=per_thousand["prompt"] * 1000, output=per_thousand["completion"] * 1000)
    return None


def cost(price: Price, prompt_tokens: int, completion_tokens: int) -> float:
    """Dollars."""
    return (prompt_tokens * price.input + completion_tokens * price.output) / 1_000_000
