"""What a search finds: words, phrases, and pieces of Chinese, whatever their case and accents."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.evaluate import matches
from baas.query.limits import MAX_SEARCH_LENGTH, MAX_SEARCH_TERMS, QueryLimits
from baas.query.near import with_text_index
from baas.query.parse import parse_filter
from baas.query.text import MAX_TEXT, normal_form

PATHS = (("title",), ("tags",), ("comments", "body"))


def finds(search: str, document: Any) -> bool:
    if type(document) is str:
        document = {"title": document}
    raw = {"$text": {"$search": search}}
    filter = parse_filter(raw, QueryLimits(), now_ms=0, whole=True)
    return matches(with_text_index(filter, PATHS), document)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("Café iPhone手机，好用!", " cafe iphone 手机 好用 "),
        ("don't foo_bar", " don t foo bar "),
        ("Straße ＡＢＣ１ ﬁne", " strasse abc1 fine "),
        ("ÀÉÎ naïve Ёлка Việt", " aei naive елка viet "),
        ("가나다 ไทย हिन्दी مَرْحَبًا", " 가나다 ไทย हिन्दी مَرْحَبًا "),
        ("がか ｶﾞ", " がか ガ "),  # a voiced kana is a letter of its own
        ("中文123abc", " 中文 123abc "),
        ("!?…😀", ""),
        ("", ""),
    ],
)
def test_texts_are_cut_and_folded(written: str, form: str) -> None:
    assert normal_form(written) == form


@pytest.mark.parametrize(
    ("search", "text", "found"),
    [
        # words: one is enough, whole, in any case and with any accents
        ("tea", "Green TEA, please", True),
        ("tea coffee", "coffee", True),
        ("tea", "teapot", False),
        ("CAFE", "Le café", True),
        ("café", "cafe", True),
        ("running", "run", False),  # no stems
        ("the", "the end", True),  # no stop words
        ("pre-market", "the pre market", True),
        ("pre-market", "market pre", False),
        # phrases: each of them, in one text
        ('"green tea"', "Some green, tea", True),
        ('"green tea"', "tea green", False),
        ('"green tea" "red wine"', "green tea", False),
        ('"green tea" "red wine"', "red wine and green tea", True),
        ('"green tea" cold hot', "hot green tea", True),
        ('"green tea" cold hot', "green tea", False),
        ('"green tea', "green tea", True),  # a mark that is not closed
        # what is excluded
        ("tea -green", "black tea", True),
        ("tea -green", "green tea", False),
        ('tea -"green tea"', "tea, green", True),
        ('tea -"green tea"', "green tea", False),
        ("-green", "black tea", False),  # finds nothing by itself
        ("", "tea", False),
        ("!?", "!?", False),
        # Chinese: any piece of a run
        ("小程序", "微信小程序开发", True),
        ("程序", "微信小程序开发", True),
        ("序", "微信小程序", True),
        ("序小", "小程序", False),
        ("小序", "小程序", False),
        ("小程序 公众号", "公众号文章", True),
        ("小程序，公众号", "公众号文章", True),
        ('"小程序 开发"', "小程序，开发", True),
        ("小程序", "小，程序", False),  # across a comma it is no run
        ("手机 -iphone", "iPhone手机", False),
        ("iPhone手机", "我的 iphone 手机", True),
        ("手机iPhone", "iPhone手机", False),
        ("好用！", "真好用", True),
    ],
)
def test_searches(search: str, text: str, found: bool) -> None:
    assert finds(search, text) is found


def test_all_fields_of_the_index_are_looked_at_and_no_others() -> None:
    document = {
        "title": "one",
        "tags": ["two", 5],
        "comments": [{"body": "three"}, {"body": ["four"]}, {"other": "five"}],
        "other": "six",
    }
    for word, found in [("one", 1), ("two", 1), ("three", 1), ("four", 1), ("five", 0), ("six", 0)]:
        assert finds(word, document) is bool(found)
    assert finds("tea -three", {**document, "title": "tea"}) is False
    assert not finds('"one two"', document)  # a phrase is in one text


def test_of_long_texts_the_beginning_is_searched() -> None:
    long = {"title": "x " * (MAX_TEXT // 2 - 2) + "tea coffee", "tags": "milk"}
    assert finds("tea", long)
    assert not finds("coffee", long)
    assert not finds("milk", long)
    assert finds("milk", {**long, "title": "short"})


@pytest.mark.parametrize(
    ("raw", "path", "code"),
    [
        ({"$text": "tea"}, "filter.$text", Code.INVALID_ARGUMENT),
        ({"$text": {}}, "filter.$text.$search", Code.INVALID_ARGUMENT),
        ({"$text": {"$search": 5}}, "filter.$text.$search", Code.INVALID_ARGUMENT),
        ({"$text": {"$search": "a\0"}}, "filter.$text.$search", Code.INVALID_ARGUMENT),
        ({"$text": {"$search": "a", "$serch": 1}}, "filter.$text", Code.INVALID_ARGUMENT),
        (
            {"$text": {"$search": "a", "$language": "en"}},
            "filter.$text.$language",
            Code.INVALID_ARGUMENT,
        ),
        (
            {"$text": {"$search": "a", "$caseSensitive": True}},
            "filter.$text.$caseSensitive",
            Code.INVALID_ARGUMENT,
        ),
        ({"a": {"$text": {"$search": "a"}}}, "filter.a", Code.INVALID_ARGUMENT),
        (
            {"a": {"$elemMatch": {"$or": [{"$text": {"$search": "a"}}]}}},
            "filter.a.$elemMatch.$or.0.$text",
            Code.INVALID_ARGUMENT,
        ),
        (
            {"$text": {"$search": "a"}, "$or": [{"$text": {"$search": "a"}}]},
            "filter.$or.0.$text",
            Code.INVALID_ARGUMENT,
        ),
        (
            {"$text": {"$search": "a" * (MAX_SEARCH_LENGTH + 1)}},
            "filter.$text.$search",
            Code.LIMIT_EXCEEDED,
        ),
        (
            {"$text": {"$search": " ".join(f"w{n}" for n in range(MAX_SEARCH_TERMS + 1))}},
            "filter.$text.$search",
            Code.LIMIT_EXCEEDED,
        ),
    ],
)
def test_a_fault_is_named_with_its_place(raw: Any, path: str, code: Code) -> None:
    with pytest.raises(Problem) as caught:
        parse_filter(raw, QueryLimits(), now_ms=0, whole=True)
    assert caught.value.code is code
    assert [error.path for error in caught.value.errors] == [path]


def test_options_that_say_what_is_so_anyway_are_taken() -> None:
    options = {"$language": "none", "$caseSensitive": False, "$diacriticSensitive": False}
    raw = {"$text": {"$search": "tea", **options}}
    assert parse_filter(raw, QueryLimits(), now_ms=0, whole=True) == parse_filter(
        {"$text": {"$search": "tea"}}, QueryLimits(), now_ms=0, whole=True
    )


def test_a_part_of_a_query_takes_no_search() -> None:
    with pytest.raises(Problem) as caught:
        parse_filter({"$text": {"$search": "a"}}, QueryLimits(), now_ms=0)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_search_may_be_one_of_several_conditions() -> None:
    raw = {"$or": [{"$text": {"$search": "tea"}}, {"n": 1}]}
    filter = with_text_index(parse_filter(raw, QueryLimits(), now_ms=0, whole=True), PATHS)
    assert [matches(filter, one) for one in ({"title": "tea"}, {"n": 1}, {"title": "x"})] == [
        True,
        True,
        False,
    ]
