"""How fast requests are sent to a service that refuses some as too many, by a clock of the test."""

import heapq

from holdfast.aws.adaptive_rate import AdaptiveRate

TASKS = 16
TAKES = 0.005  # seconds for an answer


class Service:
    """Takes *capacity* requests a second and saves up a tenth of a second's, as DynamoDB does."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.tokens = capacity / 10
        self.at = 0.0

    def takes(self, now):
        fresh = (now - self.at) * self.capacity
        self.tokens, self.at = min(self.capacity / 10, self.tokens + fresh), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Clients:
    """Tasks that share a rate and send one request after the other, each as soon as it may."""

    def __init__(self, service):
        self.service = service
        self.now = 0.0
        self.rate = AdaptiveRate(lambda: self.now)
        self.waiting = [(0.0, task, None) for task in range(TASKS)]

    def run(self, seconds):
        """Go on for *seconds*; return how many requests were taken and how many refused."""
        taken = refused = 0
        end = self.now + seconds
        while self.waiting[0][0] < end:
            self.now, task, asked = heapq.heappop(self.waiting)
            if asked is None:
                sent = self.now + self.rate.reserve()
                heapq.heappush(self.waiting, (sent, task, self.now))
                continue
            if self.service.takes(self.now):
                taken += 1
            else:
                refused += 1
                self.rate.refused(asked)
            heapq.heappush(self.waiting, (self.now + TAKES, task, None))
        self.now = end
        return taken, refused


def test_who_was_never_refused_never_waits():
    clients = Clients(Service(capacity=1_000_000))
    taken, refused = clients.run(5)
    assert (refused, clients.rate.limit) == (0, None)
    assert taken >= 5 / TAKES * TASKS - TASKS


def test_it_settles_at_what_the_service_takes_and_few_are_refused():
    clients = Clients(Service(capacity=100))
    clients.run(10)
    taken, refused = clients.run(60)
    assert taken > 0.9 * 100 * 60
    assert refused < 0.02 * taken


def test_it_goes_along_when_the_service_takes_more_and_less():
    service = Service(capacity=100)
    clients = Clients(service)
    clients.run(20)
    service.capacity = 1_000
    clients.run(20)
    taken, _ = clients.run(20)
    assert taken > 0.8 * 1_000 * 20
    service.capacity = 50
    clients.run(20)
    taken, refused = clients.run(20)
    assert taken > 0.8 * 50 * 20
    assert refused < 0.05 * taken


def test_a_minute_without_a_refusal_ends_the_limit():
    clients = Clients(Service(capacity=10))
    clients.run(1)
    assert clients.rate.limit is not None
    clients.now += 61
    assert clients.rate.limit is None
    assert clients.rate.reserve() == 0
