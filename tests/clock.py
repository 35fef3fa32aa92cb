"""A clock that a test moves by hand."""

from datetime import UTC, datetime, timedelta


class Clock:
    """A store's clock that only the test moves."""

    def __init__(self):
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.time

    def forward(self, **span):
        self.time += timedelta(**span)
