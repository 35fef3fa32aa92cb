"""Release notes: each fragment is named as they are, and the next version follows from them."""

import shutil

import pytest
from tools.release import notes, programs
from tools.release.failure import ReleaseError


def test_the_fragments_of_this_checkout_are_named_as_they_are():
    assert notes.kinds() <= set(notes.KINDS)


@pytest.mark.parametrize("name", ["links.md", "links.feature.md", "Links.added.md", "x.added.txt"])
def test_another_name_is_refused(tmp_path, name):
    (tmp_path / name).write_text("Something.")
    with pytest.raises(ReleaseError, match=r"TOPIC\.KIND\.md"):
        notes.kinds(tmp_path)


def test_a_note_that_says_nothing_is_refused(tmp_path):
    (tmp_path / "links.added.md").write_text("\n")
    with pytest.raises(ReleaseError, match=r"links\.added\.md is empty"):
        notes.kinds(tmp_path)


@pytest.mark.parametrize(
    ("current", "kinds", "wanted"),
    [
        ("0.1.0", {"fixed"}, "0.1.1"),
        ("0.1.3", {"added", "fixed"}, "0.2.0"),
        ("0.1.3", {"breaking"}, "0.2.0"),
        ("1.4.2", {"added"}, "1.5.0"),
        ("1.4.2", {"breaking", "fixed"}, "2.0.0"),
    ],
)
def test_the_next_version_follows_from_the_kinds(current, kinds, wanted):
    assert notes.next_version(current, kinds) == wanted


def test_without_notes_there_is_nothing_to_release():
    with pytest.raises(ReleaseError, match="no release notes"):
        notes.next_version("0.1.0", set())


def test_notes_become_a_version_of_the_changelog(tmp_path):
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(programs.CHECKOUT / name, tmp_path)
    (tmp_path / "changes").mkdir()
    shutil.copy(programs.CHECKOUT / "changes/README.md", tmp_path / "changes")
    (tmp_path / "changes/links.added.md").write_text("Links of a row, `store.links(...)`.\n")
    (tmp_path / "changes/links.1.fixed.md").write_text("Links are not mixed.\n")
    before = (tmp_path / "CHANGELOG.md").read_text()
    version = notes.write(checkout=tmp_path, inside=programs.installed())
    after = (tmp_path / "CHANGELOG.md").read_text()
    assert f'version = "{version}"' in (tmp_path / "pyproject.toml").read_text()
    head, _, rest = before.partition("<!-- towncrier release notes start -->\n")
    assert after.startswith(head)
    assert after.endswith(rest)
    new = after.removeprefix(head).removesuffix(rest)
    assert f"## {version} (" in new
    assert new.index("### Added") < new.index("- Links of a row") < new.index("### Fixed")
    assert [each.name for each in (tmp_path / "changes").iterdir()] == ["README.md"]
    with pytest.raises(ReleaseError, match="nothing to release"):
        notes.write(checkout=tmp_path, inside=programs.installed())
