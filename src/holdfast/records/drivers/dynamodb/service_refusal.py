"""What DynamoDB's refusals mean: which may pass, and which blame the keys or the address."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from holdfast.errors import ServiceError

if TYPE_CHECKING:
    from holdfast.records.drivers.dynamodb.attribute_codec import Item

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
"""Nothing was done, and the same may be done in a moment."""
_BUSY = THROTTLED | {
    "LimitExceededException",
    "TransactionInProgressException",
}
KEY_REFUSED = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    }
)
"""Another key may be accepted: its source is asked before another attempt."""
MISCONFIGURED = KEY_REFUSED | {"AccessDeniedException", "MissingAuthenticationTokenException"}
CONDITION = "ConditionalCheckFailed"
CONFLICT = "TransactionConflict"


class CancellationReason(TypedDict, total=False):
    """Why one write of a transaction was not done, or ``None`` as its code for the others."""

    Code: str
    Message: str
    Item: Item


class DynamoDBError(ServiceError):
    """A refusal of DynamoDB's own, with what it says of the items.

    *item* is the one that was there when a condition failed. *reasons* are those of a transaction
    that was cancelled, by the positions of its writes. *date* is when the service says that it was.
    """

    date: str | None = None
    item: Item | None = None
    reasons: tuple[CancellationReason, ...] = ()

    @classmethod
    def read(cls, operation: str, status: int, answer: object) -> DynamoDBError:
        """Return what *answer* to *operation*, its parsed body, refuses."""
        body = cast("dict[str, object]", answer) if isinstance(answer, dict) else {}
        code = str(body.get("__type", f"Status{status}")).rpartition("#")[2]
        message = str(body.get("message") or body.get("Message") or "no reason given")
        refusal = cls(operation, status, code, message)
        refusal.item = cast("Item | None", body.get("Item"))
        reasons = cast("list[CancellationReason]", body.get("CancellationReasons") or [])
        refusal.reasons = tuple(reasons)
        return refusal

    @property
    def is_condition(self) -> bool:
        """Whether the condition of a single write did not hold."""
        return self.code == "ConditionalCheckFailedException"

    @property
    def is_conflict(self) -> bool:
        """Whether another transaction was at work on the same item; nothing was done."""
        if self.code == "TransactionConflictException":
            return True
        codes = {reason.get("Code", "None") for reason in self.reasons} - {"None"}
        return CONFLICT in codes and CONDITION not in codes

    @property
    def is_absent_table(self) -> bool:
        """Whether the table is not there."""
        return self.code == "ResourceNotFoundException"


def may_pass(refusal: DynamoDBError, *, repeatable: bool) -> bool:
    """Return whether to ask the same again; of a failure inside only if it is *repeatable*."""
    if refusal.code in _BUSY:
        return True
    codes = {reason.get("Code", "None") for reason in refusal.reasons} - {"None"}
    if codes and codes <= {"ThrottlingError", "ProvisionedThroughputExceeded"}:
        return True
    return repeatable and refusal.status >= 500
