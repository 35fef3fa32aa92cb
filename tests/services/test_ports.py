import socket

import pytest
from tools.services.failure import StateError
from tools.services.ports import FIRST, SLOT, SLOTS, allocate, base, is_free


def test_a_checkout_gets_the_same_ports_every_time(tmp_path):
    assert base(tmp_path) == base(tmp_path)


def test_checkouts_lie_apart_and_below_the_ports_that_clients_get(tmp_path):
    bases = {base(tmp_path / str(number)) for number in range(50)}
    assert len(bases) > 30
    for port in bases:
        assert (port - FIRST) % SLOT == 0
        assert FIRST <= port <= FIRST + SLOT * SLOTS - SLOT < 32768 - SLOT


def test_remembered_ports_stay_and_new_ones_are_the_lowest_usable():
    chosen = allocate(
        ["a", "b", "c"],
        remembered={"b": 20_000},
        start=20_000,
        usable=lambda port: port != 20_001,
    )
    assert chosen == {"a": 20_002, "b": 20_000, "c": 20_003}


def test_a_port_remembered_for_a_stopped_server_is_not_given_away():
    chosen = allocate(["new"], remembered={"old": 20_000}, start=20_000, usable=lambda _: True)
    assert chosen["new"] == 20_001


def test_the_search_goes_round_and_ends_with_an_error_that_says_what_was_wanted():
    last = FIRST + SLOT * SLOTS - 1
    chosen = allocate(["a"], remembered={}, start=last, usable=lambda port: port == FIRST + 7)
    assert chosen == {"a": FIRST + 7}
    with pytest.raises(StateError, match="no free port for a between"):
        allocate(["a"], remembered={}, start=last, usable=lambda _: False)


@pytest.mark.parametrize("interface", ["127.0.0.1", "0.0.0.0"])
def test_a_port_on_which_somebody_listens_is_not_free(interface):
    with socket.socket() as listener:
        listener.bind((interface, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
