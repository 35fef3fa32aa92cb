"""Two processes on the same names and versions: one wins each, never both."""

from hunt import dynamodb_races


def test_two_processes_never_both_win():
    one, two = dynamodb_races.run_round(1, steps=200)
    assert one["names"]
    assert two["names"], "they did not race: one had all names"
