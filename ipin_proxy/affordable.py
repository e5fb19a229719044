"""Whether a budget can pay for a call: if it matters what the call costs, and if anybody knows that.

It is asked before `limits.py` holds what a call may cost, and of every model that may stand in for another. What is spent and
held is not known here, nor what a budget still has: values in, and nothing but a yes or an error out.
"""

from __future__ import annotations

from .call import Call, Caller
from .errors import BadRequest
from .meter import MEASURED
from .prices import estimate, price_of
from .records import Model, Price, columns_of


def is_budgeted(caller: Caller) -> bool:
    """Whether anybody's budget pays for this caller."""
    key, user = caller.key, caller.user
    return bool((key is not None and key.budgets) or (user is not None and user.budgets))


def is_weighed(caller: Caller) -> bool:
    """Whether it matters to `admit` what a call may use."""
    return (caller.key is not None and caller.key.tpm is not None) or is_budgeted(caller)


def check_priced(call: Call, model: Model, unpriced: str) -> None:
    """Raises BadRequest when a call would go past a budget, because nobody knows what it costs: its model has no price, or
    none for what such a call uses; `unpriced` is the setting: `allow` lets it."""
    if unpriced == "allow" or not is_budgeted(call.caller):
        return
    used = estimate(call)
    if call.operation in MEASURED:  # how much there is of these may come out only afterwards
        used = used._replace(seconds=used.seconds or 1.0, pages=used.pages or 1)
    if price_of(used, model.price).nano is not None:
        return
    lacks = "has a price that does not say what such a call costs" if is_priced(model) else "has no price"
    raise BadRequest(
        f"The model '{model.id}' {lacks}, so no budget can pay for it. "
        "An administrator can give it one, or allow models without (UNPRICED).",
        code="model_not_priced",
        param="model",
    )


def is_priced(model: Model) -> bool:
    """Whether a model has any price at all; 0 is one."""
    price = model.price
    return price is not None and any(getattr(price, one.attribute) not in (None, ()) for one in columns_of(Price))
