"""For which checkpoints each key of a chain counts, and what it takes to follow another."""

import pytest

from holdfast.audit import SignerKey
from holdfast.audit.checkpoint_note import Checkpoint
from holdfast.audit.key_chain import KeyChain, Rotation, SignedNote
from holdfast.errors import IntegrityError

ORIGIN = "test.example/audit"
A, B, C, STRANGER = (SignerKey.generate(ORIGIN) for _ in range(4))


def note(size, *signers):
    checkpoint = Checkpoint(ORIGIN, size, bytes([size]) * 32)
    text = signers[0].sign(checkpoint)
    for signer in signers[1:]:
        text = signer.cosign(text)
    return SignedNote(checkpoint, text)


def rotation(position, old, new):
    return Rotation(position, old.verifier, new.verifier)


def test_a_rotation_counts_from_the_first_checkpoint_over_it_that_both_keys_signed():
    step = rotation(4, A, B)
    alone = [note(5, A), note(6, B), note(7, A, STRANGER), note(7, B, C)]
    assert step.size(alone) is None
    assert step.size([*alone, note(3, A, B), note(4, A, B)]) is None  # not over the entry
    assert step.size([*alone, note(9, A, B), note(8, B, A)]) == 8
    assert step.size([note(5, A, B)]) == 5


@pytest.mark.parametrize("trusted", [A, B, C], ids="ABC")
def test_each_key_counts_up_to_the_checkpoint_that_hands_over_and_from_it_on(trusted):
    notes = [note(5, A, B), note(9, B, C)]
    chain = KeyChain(trusted.verifier, [rotation(8, B, C), rotation(4, A, B)], notes)
    for size, signers in ((0, (A,)), (4, (A,)), (5, (A, B)), (6, (B,)), (9, (B, C)), (10, (C,))):
        for signer in (A, B, C, STRANGER):
            if signer in signers:
                chain.check(note(size, signer))
            else:
                with pytest.raises(IntegrityError):
                    chain.check(note(size, signer))


@pytest.mark.parametrize("trusted", [A, C], ids="AC")
def test_rotations_that_do_not_follow_one_another_are_not_followed(trusted):
    # B would hand over at the same size at which it begins to count.
    steps = [rotation(3, A, B), rotation(4, B, C)]
    chain = KeyChain(trusted.verifier, steps, [note(5, A, B), note(5, B, C)])
    far = C if trusted is A else A
    with pytest.raises(IntegrityError):
        chain.check(note(5, far))
    with pytest.raises(IntegrityError):
        KeyChain(A.verifier, [rotation(3, C, B)], [note(5, B, C)]).check(note(6, B))
