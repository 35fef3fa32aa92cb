import threading

import pytest
from tools.services.failure import StateError
from tools.services.state import Record, State, exclusive, load, save


def test_what_was_saved_is_loaded(tmp_path):
    record = Record({"redis": "redis://127.0.0.1:1/0"}, {"redis": 7}, "digest")
    save(tmp_path, State({"redis": 1}, {"redis": record}))
    assert load(tmp_path) == State({"redis": 1}, {"redis": record})
    assert [path.name for path in tmp_path.iterdir()] == ["services.json"]


def test_an_unused_folder_remembers_nothing(tmp_path):
    assert load(tmp_path / "never") == State()


DAMAGE = ("", "{", "[]", "null", "\x00", '{"ports": {}}')
WRONG_KIND = (
    '{"ports": {"a": "x"}, "servers": {}}',
    '{"ports": {}, "servers": {"redis": {"url": 1}}}',
)


@pytest.mark.parametrize("text", [*DAMAGE, *WRONG_KIND])
def test_damage_is_an_error_that_names_the_file_and_the_way_out(tmp_path, text):
    (tmp_path / "services.json").write_text(text)
    with pytest.raises(StateError, match=r"services\.json is damaged .* delete it"):
        load(tmp_path)


def test_one_process_at_a_time_holds_a_folder(tmp_path):
    got_in = threading.Event()

    def enter():
        with exclusive(tmp_path):
            got_in.set()

    with exclusive(tmp_path):
        second = threading.Thread(target=enter)
        second.start()
        assert not got_in.wait(0.1)
    assert got_in.wait(120)
    second.join()
