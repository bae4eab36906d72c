"""Files are written below the allowed folders alone, however the way out is spelled."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError
from certwright.targets.folder import LeadsOut, allowed, opened


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`www` with a site in it, `etc` beside it, and links that lead to and fro."""
    top = tmp_path_factory.mktemp("tree").resolve()
    for folder in ("www/site", "www/other", "etc"):
        (top / folder).mkdir(parents=True)
    (top / "www" / "out").symlink_to(top / "etc")
    (top / "www" / "in").symlink_to("site")
    (top / "www" / "circle").symlink_to("circle")
    (top / "etc" / "back").symlink_to(top / "www" / "site")
    return top


@given(parts=st.lists(st.sampled_from(["..", ".", "www", "site", "etc", "out", "in", "back", "new"]), max_size=6))
def test_a_folder_is_allowed_where_it_really_lies(tree: Path, parts: list[str]) -> None:
    folder = tree.joinpath("www", *parts)
    if folder.resolve().is_relative_to(tree / "www"):
        assert allowed(folder, [tree / "www"]) == tree / "www"
    else:
        with pytest.raises(ConfigurationError) as caught:
            allowed(folder, [tree / "www"])
        assert str(tree / "www") in caught.value.message
        assert "file_folders" in caught.value.hint


@pytest.mark.parametrize("way", ["../etc", "site/../../etc", "out", "in/../out", "circle", "a\0b"])
def test_what_leads_out_is_not_opened(tree: Path, way: str) -> None:
    with pytest.raises(ConfigurationError), opened(tree / "www" / way, [tree / "www"]):
        pass


def test_without_an_allowed_folder_there_is_none(tree: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none of the allowed folders \(none\)"):
        allowed(tree / "www", [])


def test_a_folder_whose_name_only_begins_alike_is_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        allowed(tmp_path / "www-private", [tmp_path / "www"])


def test_who_swaps_a_folder_for_a_link_meanwhile_gains_nothing(tmp_path: Path) -> None:
    (tmp_path / "www" / "site" / "answers").mkdir(parents=True)
    (tmp_path / "etc" / "answers").mkdir(parents=True)
    with opened(tmp_path / "www" / "site", [tmp_path / "www"]) as folder:
        answers = folder.within("answers")
        (tmp_path / "www" / "site").rename(tmp_path / "www" / "moved")
        (tmp_path / "www" / "site").symlink_to(tmp_path / "etc")
        answers.write("one", "1")
        folder.within("answers").write("two", "2")
    assert sorted(each.name for each in (tmp_path / "www" / "moved" / "answers").iterdir()) == ["one", "two"]
    assert list((tmp_path / "etc" / "answers").iterdir()) == []


class _Swapped(type(Path())):  # type: ignore[misc]
    """A way that leads elsewhere as soon as it was resolved."""

    def resolve(self, strict: bool = False) -> Path:
        found = Path(self).resolve(strict)
        Path(self).unlink()
        Path(self).symlink_to("../etc")
        return found


def test_where_a_folder_lies_is_looked_up_once(tmp_path: Path) -> None:
    (tmp_path / "www" / "site").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "www" / "way").symlink_to("site")
    with opened(_Swapped(tmp_path / "www" / "way"), [tmp_path / "www"]) as folder:
        folder.write("file", "text")
    assert (tmp_path / "www" / "site" / "file").read_text() == "text"


def test_a_link_in_the_folder_is_followed_as_far_as_it_stays(tmp_path: Path) -> None:
    (tmp_path / "www" / "real").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "www" / "stays").symlink_to("real")
    (tmp_path / "www" / "leaves").symlink_to("../etc")
    with opened(tmp_path / "www", [tmp_path]) as folder:
        folder.within("stays").write("file", "text")
        assert folder.within("real").holds("file", "text")
        with pytest.raises(LeadsOut):
            folder.within("leaves")
        for name in ("..", "../etc", str(tmp_path / "etc")):
            with pytest.raises(LeadsOut, match="is no name in"):
                folder.write(name, "text")
            with pytest.raises(LeadsOut):
                folder.within(name)


def test_a_file_is_there_whole_and_for_everybody(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "file").symlink_to(tmp_path / "victim")
    with opened(tmp_path / "www", [tmp_path / "www"]) as folder:
        assert not folder.holds("file", "precious")
        folder.write("file", "text")
        assert folder.names() == ["file"]
        assert folder.holds("file", "text")
        assert not folder.holds("file", "tex")
        assert stat.S_IMODE((tmp_path / "www" / "file").lstat().st_mode) == 0o644
        assert folder.make("inner")
        assert not folder.make("inner")
        assert stat.S_IMODE((tmp_path / "www" / "inner").stat().st_mode) == 0o755
        (tmp_path / "www" / ".file.certwright").write_text("a killed run")
        folder.write("file", "anew")
        assert sorted(folder.names()) == ["file", "inner"]
        folder.remove_folder("inner")
        folder.remove("file")
        assert folder.names() == []
    assert (tmp_path / "victim").read_text() == "precious"
