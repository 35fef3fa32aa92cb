"""What folding means, under every Python."""

import hashlib

from holdfast.records.values.text import fold_case


def test_each_character_folds_alike_under_every_python():
    """The sum is of Unicode 14's simple mapping, taken once; Python's edition goes on."""
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    folded = fold_case(every)
    assert len(folded) == len(every)
    assert (
        hashlib.sha256(folded.encode()).hexdigest()
        == "6362c6736ebfe9e685dd0803d63c740fd957906a959be949b1c4cb747af47634"
    )
    assert fold_case("ÄÖÜẞİǅ") == "äöüßİǆ"
