"""The tree against RFC 6962's own recursion, and against hashes that others computed."""

import hashlib

import pytest

from holdfast.audit.merkle_tree import (
    EMPTY_ROOT,
    RunningRoot,
    appended,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    last_tiles,
    leaf_hash,
    node_hash,
    range_hash,
    root_of_inclusion,
    tiles_of,
)

# The leaves and roots of Certificate Transparency's reference tests.
KNOWN_LEAVES = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
KNOWN_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def naive_root(leaves):
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(naive_root(leaves[:half]), naive_root(leaves[half:]))


def grown(batches):
    """The tiles of a tree that grew by *batches* of leaves, keeping what the store keeps."""
    tiles, size = {}, 0
    for batch in batches:
        last = {tile: tiles[tile] for tile in last_tiles(size)}
        tiles.update(appended(size, last, batch))
        size += len(batch)
    return tiles, size


def leaves_of(count):
    return [leaf_hash(str(number).encode()) for number in range(count)]


@pytest.mark.parametrize(("size", "root"), KNOWN_ROOTS.items())
def test_roots_are_those_of_certificate_transparency(size, root):
    leaves = [leaf_hash(each) for each in KNOWN_LEAVES[:size]]
    tiles, _ = grown([leaves])
    assert range_hash((0, size), tiles).hex() == root


def test_an_empty_tree_is_the_hash_of_nothing():
    assert EMPTY_ROOT == hashlib.sha256().digest() == RunningRoot().root


@pytest.mark.parametrize("total", [1, 2, 3, 7, 255, 256, 257, 513, 1000])
def test_tiles_give_every_root_however_the_leaves_came(total):
    leaves = leaves_of(total)
    for step in (1, 7, 256, total):
        tiles, size = grown([leaves[at : at + step] for at in range(0, total, step)])
        assert size == total
        assert range_hash((0, total), tiles) == naive_root(leaves)
    running = RunningRoot()
    for leaf in leaves:
        running.add(leaf)
    assert (running.size, running.root) == (total, naive_root(leaves))


def test_a_tree_grows_over_the_edge_of_a_tile_of_tiles():
    steps = (65_000, 1_000, 65_000)
    leaves = leaves_of(sum(steps))
    starts = [sum(steps[:turn]) for turn in range(len(steps))]
    tiles, size = grown(
        [leaves[at : at + step] for at, step in zip(starts, steps, strict=True)],
    )
    assert range_hash((0, size), tiles) == naive_root(leaves)
    assert last_tiles(size) == [(0, 511), (1, 1), (2, 0)]


def test_a_tree_without_leaves_has_the_root_of_nothing_and_a_cut_tile_is_refused():
    assert range_hash((0, 0), {}) == EMPTY_ROOT
    tiles, _ = grown([leaves_of(3)])
    cut = {(0, 0): tiles[0, 0][:-1]}
    with pytest.raises(KeyError) as refused:
        range_hash((0, 3), cut)
    assert refused.value.args == ((0, 0),)


def test_an_append_touches_the_last_tile_of_each_level_and_no_other():
    tiles, size = grown([leaves_of(70_000)])
    last = {tile: tiles[tile] for tile in last_tiles(size)}
    changed = appended(size, last, leaves_of(1))
    assert list(changed) == [(0, 273)]
    assert set(tiles_of([(0, size)])) <= {(0, 273), (1, 1), (2, 0)}
    assert len(tiles_of(inclusion_ranges(5, size))) <= 6


def test_each_leaf_is_proved_and_a_changed_one_is_not():
    for size in (1, 2, 3, 6, 7, 300):
        leaves = leaves_of(size)
        tiles, _ = grown([leaves])
        root = naive_root(leaves)
        for index, leaf in enumerate(leaves):
            proof = [range_hash(span, tiles) for span in inclusion_ranges(index, size)]
            assert root_of_inclusion(leaf, index, size, proof) == root
            assert root_of_inclusion(leaf_hash(b"other"), index, size, proof) != root
            assert root_of_inclusion(leaf, index, size, [*proof, root]) is None
            for some in range(len(proof)):
                assert root_of_inclusion(leaf, index, size, proof[:some]) is None
            if size > 1:
                assert root_of_inclusion(leaf, (index + 1) % size, size, proof) != root


@pytest.mark.parametrize("index", [-1, 4, 5])
def test_a_leaf_that_the_tree_does_not_have_is_not_proved(index):
    leaves = leaves_of(4)
    tiles, _ = grown([leaves])
    proof = [range_hash(span, tiles) for span in inclusion_ranges(3, 4)]
    assert root_of_inclusion(leaves[3], index, 4, proof) is None


def test_each_size_is_proved_to_be_a_beginning_and_a_rewritten_one_is_not():
    sizes = [*range(1, 40), 257]
    leaves = leaves_of(257)
    tiles, _ = grown([leaves])
    known = {size: naive_root(leaves[:size]) for size in sizes}
    other = leaf_hash(b"x")
    for new in sizes:
        for old in [size for size in sizes if size <= new]:
            proof = [range_hash(span, tiles) for span in consistency_ranges(old, new)]
            roots = known[old], known[new]
            assert is_consistent(old, new, roots, proof)
            assert not is_consistent(old, new, (other, roots[1]), proof)
            assert not is_consistent(old, new, (roots[0], other), proof)
            assert not is_consistent(old, new, roots, [*proof, other])
            for some in range(len(proof)):
                assert not is_consistent(old, new, roots, proof[:some])


def test_every_tree_begins_with_the_empty_one():
    root = naive_root(leaves_of(3))
    assert consistency_ranges(0, 3) == consistency_ranges(3, 3) == []
    assert is_consistent(0, 3, (EMPTY_ROOT, root), [])
    assert is_consistent(0, 0, (EMPTY_ROOT, EMPTY_ROOT), [])
    assert not is_consistent(0, 3, (root, root), [])
    assert not is_consistent(0, 3, (root, EMPTY_ROOT), [])
    assert not is_consistent(0, 3, (EMPTY_ROOT, root), [root])


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_no_tree_begins_with_a_longer_one(old, new):
    root = naive_root(leaves_of(3))
    assert not is_consistent(old, new, (root, root), [])
    assert not is_consistent(old, new, (root, root), [root])
