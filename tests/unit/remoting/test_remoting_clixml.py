"""CLIXML as MS-PSRP section 2.2.5 has it, and whatever else may arrive."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.remoting.clixml import MAX_DEPTH, MalformedClixml, Obj, decode_string, read


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        ("<S>plain</S>", "plain"),
        ("<S>line_x000A_end</S>", "line\nend"),
        ("<S>_x005F_x000A_</S>", "_x000A_"),
        ("<S>_xD83D__xDE00_</S>", "\U0001f600"),
        ("<I32>-24</I32>", -24),
        ("<U64>18446744073709551615</U64>", 2**64 - 1),
        ("<B>true</B>", True),
        ("<BA>AQID</BA>", b"\x01\x02\x03"),
        ("<DT>2026-11-22T18:17:00.1234567Z</DT>", datetime(2026, 11, 22, 18, 17, 0, 123456, UTC)),
        ("<DT>not a date</DT>", "not a date"),
        ("<Nil/>", None),
        ("<Db>1.5</Db>", 1.5),
        ("<C>65</C>", "A"),
    ],
)
def test_primitives(xml: str, value: object) -> None:
    assert read(xml) == value


def test_an_enum_has_its_words_and_its_number() -> None:
    found = read(
        '<Obj RefId="0"><TN RefId="0"><T>AllowedServices</T><T>System.Enum</T></TN>'
        "<ToString>IIS, SMTP</ToString><I32>24</I32></Obj>"
    )
    assert found == Obj(types=("AllowedServices", "System.Enum"), text="IIS, SMTP", value=24)


def test_objects_keep_both_kinds_of_properties_and_lists_of_any_type() -> None:
    found = read(
        '<Obj RefId="0"><TN RefId="0"><T>A</T></TN>'
        '<Props><S N="Name">EX01</S><Obj N="Sites" RefId="1"><TN RefId="1"><T>Unknown`1</T></TN>'
        "<LST><S>IIS://EX01/W3SVC/1</S><Nil/></LST></Obj></Props>"
        '<MS><Obj N="Again" RefId="2"><TNRef RefId="0"/></Obj><Ref N="Same" RefId="1"/></MS></Obj>'
    )
    assert isinstance(found, Obj)
    sites = found.properties["Sites"]
    assert isinstance(sites, Obj)
    assert sites.is_collection
    assert sites.items == ("IIS://EX01/W3SVC/1", None)
    assert found.properties["Same"] is sites
    again = found.properties["Again"]
    assert isinstance(again, Obj)
    assert again.types == ("A",)


def test_dictionaries_become_properties() -> None:
    found = read('<Obj RefId="0"><DCT><En><S N="Key">a</S><I32 N="Value">1</I32></En></DCT></Obj>')
    assert isinstance(found, Obj)
    assert found.properties == {"a": 1}


def test_depth_is_bounded() -> None:
    deep = '<Obj RefId="0"><LST>' * (MAX_DEPTH + 5) + "</LST></Obj>" * (MAX_DEPTH + 5)
    with pytest.raises(MalformedClixml, match="too deeply"):
        read(deep)


@pytest.mark.parametrize(
    "xml", ["", "<S>", "<I32>x</I32>", "<B>maybe</B>", "<BA>A</BA>", "<C>1114112</C>", "<Obj><TN><T/></TN>", "\x00"]
)
def test_what_cannot_be_read_is_said_without_repeating_it(xml: str) -> None:
    with pytest.raises(MalformedClixml):
        read(xml)


_TAGS = st.sampled_from(
    [
        "Obj",
        "S",
        "I32",
        "B",
        "BA",
        "DT",
        "LST",
        "DCT",
        "En",
        "MS",
        "Props",
        "TN",
        "TNRef",
        "Ref",
        "T",
        "Nil",
        "C",
        "ToString",
    ]
)
_XML = st.recursive(
    st.builds(lambda tag, text: f"<{tag}>{text}</{tag}>", _TAGS, st.sampled_from(["", "1", "true", "AQ==", "_xD800_"])),
    lambda inner: st.builds(
        lambda tag, ref, children: f'<{tag} RefId="{ref}" N="n{ref}">{"".join(children)}</{tag}>',
        _TAGS,
        st.integers(0, 3),
        st.lists(inner, max_size=4),
    ),
    max_leaves=30,
)


@given(_XML)
def test_any_tree_is_read_or_refused(xml: str) -> None:
    with contextlib.suppress(MalformedClixml):
        read(xml)


@given(st.text())
def test_any_string_is_decoded(text: str) -> None:
    assert isinstance(decode_string(text), str)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_escaping_is_undone(text: str) -> None:
    units = [text.encode("utf-16-be")[i : i + 2] for i in range(0, len(text.encode("utf-16-be")), 2)]
    assert decode_string("".join(f"_x{unit.hex().upper()}_" for unit in units)) == text
