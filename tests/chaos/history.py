"""What clients asked of the platform and were told: a line of JSON for each operation."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class Told(StrEnum):
    """What a client knows of its operation. *unknown*: it may have happened, or yet happen."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One request: *verb* on *key* of a domain, with *value*, and what came back.

    *began* and *ended* are seconds since the run began. *boot* names the life of the server's
    process that answered, None where nobody did. *status* is that of HTTP.
    """

    client: str
    domain: str
    verb: str
    key: str
    began: float
    ended: float
    told: Told
    value: object = None
    answer: object = None
    boot: str | None = None
    status: int | None = None


class Record:
    """The history of a run as it is made: kept, and written to a file for each client."""

    def __init__(self, folder):
        self.folder = folder
        self.operations = []
        self._acknowledged = Counter()
        self._files = {}

    def add(self, operation):
        if operation.client not in self._files:
            path = self.folder / f"{operation.client}.jsonl"
            self._files[operation.client] = path.open("w", encoding="utf-8")
        line = json.dumps(dataclasses.asdict(operation), separators=(",", ":"))
        self._files[operation.client].write(line + "\n")
        self.operations.append(operation)
        if operation.told is Told.ACKNOWLEDGED:
            self._acknowledged[operation.domain, operation.verb] += 1

    def least_acknowledged(self, verbs):
        """Return how often that of *verbs*, pairs of domain and verb, was that was least often."""
        return min(self._acknowledged[each] for each in verbs)

    def close(self):
        for each in self._files.values():
            each.close()


def read(folder):
    """Return the operations that lie in *folder*, in the order in which they began."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = json.loads(line)
            found.append(Operation(**{**fields, "told": Told(fields["told"])}))
    return sorted(found, key=lambda each: each.began)
