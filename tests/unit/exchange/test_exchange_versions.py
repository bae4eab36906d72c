from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.exchange.versions import product


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("Version 15.0 (Build 1497.2)", "2013 CU23"),
        ("Version 15.1 (Build 2507.6)", "2016 CU23"),
        ("Version 15.1 (Build 2375.7)", "2016 CU22"),
        ("Version 15.2 (Build 986.5)", "2019 CU11"),
        ("Version 15.2 (Build 1544.4)", "2019 CU14"),
        ("Version 15.2 (Build 1748.10)", "2019 CU15"),
        ("Version 15.2 (Build 2562.17)", "SE RTM"),
        ("15.2.1544.14", "2019 CU14 Nov24SUv2"),
        ("15.02.2562.020", "SE RTM Aug25SU"),
        ("Version 15.2 (Build 1544.5)", "2019 CU14 (build 1544.5)"),
        ("Version 15.2 (Build 2000.1)", "2019 CU15 (build 2000.1)"),
        ("Version 15.2 (Build 9999.1)", "SE RTM (build 9999.1)"),
        ("Version 15.0 (Build 100.1)", "2013 (build 100.1)"),
    ],
)
def test_builds_have_names(version: str, name: str) -> None:
    found = product(version)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("version", ["", "Version 14.3 (Build 123.4)", "15.2", "unknown"])
def test_what_is_no_version_has_no_name(version: str) -> None:
    assert product(version) is None


def test_ends_of_support() -> None:
    ends = [found and found.end_of_support for found in map(product, ("15.0.1497.2", "15.2.1748.10", "15.2.2562.17"))]
    assert ends == [date(2023, 4, 11), date(2025, 10, 14), None]


@settings(deadline=None)
@given(st.integers(0, 2), st.integers(0, 9999), st.integers(0, 99))
def test_every_build_since_2013_has_a_line_and_keeps_its_numbers(minor: int, build: int, revision: int) -> None:
    found = product(f"Version 15.{minor} (Build {build}.{revision})")
    assert found is not None
    assert found.build == (15, minor, build, revision)
    assert found.is_listed or f"{build}.{revision}" in found.name


@settings(deadline=None)
@given(st.text())
def test_no_text_fails(version: str) -> None:
    product(version)
