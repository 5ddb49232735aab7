"""Regular expressions: RE2's syntax, the kit's three flags."""

from __future__ import annotations

import pytest

from baas.query.patterns import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "found"),
    [
        ("b", "", "abc", True),
        ("B", "", "abc", False),
        ("B", "i", "abc", True),
        ("É", "i", "é", True),
        ("^b", "", "a\nb", False),
        ("^b", "m", "a\nb", True),
        ("a$", "", "a\n", False),
        ("a$", "m", "a\nb", True),
        ("a.b", "", "a\nb", False),
        ("a.b", "s", "a\nb", True),
        ("^A.B$", "ims", "x\na\nb", True),
        ("^.$", "", "😀", True),
        ("", "", "", True),
        (r"\p{Han}", "", "中", True),
        (r"^\d+$", "", "١٢", False),
    ],
)
def test_finds(pattern: str, flags: str, text: str, found: bool) -> None:
    assert bool(compile_pattern(pattern, flags).search(text)) is found


@pytest.mark.parametrize("pattern", ["(", "[a", "a**", r"\1", "(?=a)", r"\pL{500}", "a{1001}"])
def test_what_re2_refuses_is_a_value_error_with_a_reason(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        compile_pattern(pattern)
