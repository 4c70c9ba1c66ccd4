"""The URL is the state: what is written is read again, and what is not valid is named and left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decortex_ops.dashboard import LONGEST_TEXT, Field, changes, decode, encode

FIELDS = (
    Field("study"),
    Field("k", "int", low=1, high=100),
    Field("hours", "int", default=24, choices=(1, 24)),
    Field("pick", "texts", default=()),
    Field("lasso", "points"),
)
texts = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable())


@given(study=texts, k=st.integers(1, 100), pick=st.lists(texts.filter(lambda t: "," not in t), max_size=6))
def test_what_is_written_is_read_again(study: str, k: int, pick: list[str]) -> None:
    values = {"study": study, "k": k, "hours": 1, "pick": tuple(pick), "lasso": ((0.5, -1.25), (1e-3, 3.0))}
    found = decode("/runs", FIELDS, encode(FIELDS, values))
    assert dict(found.values) == values
    assert found.problems == ()


def test_defaults_are_not_written_and_come_back() -> None:
    assert encode(FIELDS, {"hours": 24, "pick": (), "k": None}) == ""
    assert dict(decode("/", FIELDS, "").values) == {
        "study": None,
        "k": None,
        "hours": 24,
        "pick": (),
        "lasso": None,
    }


@pytest.mark.parametrize(
    ("search", "match"),
    [
        ("?k=abc", "whole number"),
        ("?k=0", "1 to 100"),
        ("?k=99999999999999999999", "whole number"),
        ("?k=٣", "whole number"),
        ("?hours=5", "one of 1, 24"),
        ("?lasso=1,2;3", "pairs"),
        ("?lasso=nan,1", "finite"),
        ("?lasso=a,b", "could not convert"),
        (f"?study={'x' * (LONGEST_TEXT + 1)}", "at most"),
    ],
)
def test_what_is_not_valid_is_named_and_left_out(search: str, match: str) -> None:
    found = decode("/", FIELDS, search)
    assert len(found.problems) == 1
    assert match in found.problems[0]
    assert dict(found.values) == dict(decode("/", FIELDS, "").values)


def test_unknown_fields_are_ignored_and_floods_refused() -> None:
    assert decode("/", FIELDS, "?k=3&drop=1")["k"] == 3
    assert decode("/", FIELDS, "?" + "&".join(f"a{i}=1" for i in range(500)))["k"] is None


def test_links_keep_what_other_pages_chose() -> None:
    other = (Field("emb", "int"),)
    found = decode("/", FIELDS, "?k=3&emb=2&foo=1", carry=other)
    assert found.link(k=5) == "/?k=5&emb=2"
    assert decode("/", FIELDS, "?emb=x", carry=other).link() == "/"


def test_a_choice_takes_fields_out_with_none() -> None:
    assert changes(study="a&b=c", k=None) == "study=a%26b%3Dc&k="
