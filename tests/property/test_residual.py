"""A rule reduced with what is known, then evaluated, means what the rule itself means."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from baas.query import expr as e
from baas.query.conditions import Env, evaluate, satisfied
from baas.query.evaluate import matches
from baas.rules.residual import Known, possible, reduce, to_filter
from baas.rules.syntax import RuleFault
from tests.support.rules import NOW_MS, condition, variables

DATE = {"$date": "2027-01-15T08:00:00.000Z"}  # NOW_MS
values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2, 1.5, NOW_MS, NOW_MS + 1]),
    st.sampled_from(["", "u1", "a", "b"]),
    st.just(DATE),
    st.lists(st.sampled_from([None, 1, "u1", "a", DATE]), max_size=2),
    st.lists(st.fixed_dictionaries({}, optional={"b": st.sampled_from(["u1", 1])}), max_size=2),
    st.fixed_dictionaries({}, optional={"b": st.sampled_from(["u1", 1, None])}),
)
documents = st.fixed_dictionaries({}, optional={"a": values, "b": values})
callers = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"uid": st.sampled_from(["u1", "a"]), "roles": st.lists(st.sampled_from(["a", "b"]))},
        optional={"claims": documents},
    ),
)

paths = st.sampled_from(
    [
        "doc.a",
        "doc.b",
        "doc.a.b",
        "doc.a[0]",
        "doc.a[0].b",
        "doc[auth.uid]",
        "newDoc.a",
        "newDoc.b",
        "auth",
        "auth.uid",
        "auth.roles",
        "auth.claims",
        "auth.claims.a",
        "auth.claims.a.b",
        "request.data.a",
        "request.data.a.b",
        "request.time",
        "now",
        "get('database.others.a')",
        "get('database.others.a').b",
        "get('database.others.' + auth.uid).a.b",
        "get('database.others.' + doc.a).b",
        "get(`database.others.${doc.b}`).a",
    ]
)
constants = st.sampled_from(
    ["null", "true", "false", "0", "1", "1.5", str(NOW_MS), "'u1'", "'a'", "['a', 1]", "[null]"]
)
terms = st.recursive(
    st.one_of(paths, paths, constants),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"-({t})"),
        inner.map(lambda t: f"size({t})"),
        inner.map(lambda t: f"string({t})"),
        inner.map(lambda t: f"int({t})"),
        inner.map(lambda t: f"[{t}, 1]"),
        st.tuples(inner, inner).map(lambda t: f"`{t[0].replace('`', '')}${{1}}`"),
        st.tuples(paths, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
    ),
    max_leaves=3,
)
atoms = st.one_of(
    st.tuples(terms, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in"]), terms).map(
        " ".join
    ),
    terms,
    paths.filter(lambda path: path != "now").map(lambda path: f"has({path})"),
    st.just("exists('database.others.' + doc.a)"),
    st.just("exists('database.others.' + auth.uid)"),
    st.just("unchanged('a')"),
    st.just("changed('a.b', 'b')"),
    st.tuples(terms, terms).map(lambda t: f"startsWith({t[0]}, {t[1]})"),
)
rules = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(
            lambda t: f"({t[0]}) {t[1]} ({t[2]})"
        ),
        inner.map(lambda t: f"!({t})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]}) ? ({t[1]}) : ({t[2]})"),
    ),
    max_leaves=4,
)


def checked(text: str) -> e.Expr | None:
    """The rule, or None where it asks for too many documents."""
    try:
        return condition(text)
    except RuleFault as fault:
        if "at most 3" in fault.message or "choose" in fault.message:
            return None
        raise


@given(rules, callers, documents, documents, documents, st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_reduced_then_evaluated_is_evaluated(
    text: str,
    auth: Any,
    doc: dict[str, Any],
    new_doc: dict[str, Any],
    other: dict[str, Any],
    request_known: bool,
    look: bool,
) -> None:
    rule = checked(text)
    if rule is None:
        return

    def lookups(collection: str, id: str) -> Any:
        return other if id == "a" else None

    everything = variables(auth, doc)
    known = everything if request_known else {"auth": auth}
    rest = reduce(rule, Known(known, lookups if look else None))
    env = Env(doc, new_doc, everything, lookups)
    assert evaluate(rest, env) is evaluate(rule, env), rest
    again = reduce(rest, Known(everything, lookups))
    assert evaluate(again, Env(doc, new_doc, None, lookups)) is evaluate(rule, env), again


@given(rules, callers, documents, documents)
@settings(max_examples=150, deadline=None)
def test_a_filter_holds_exactly_where_the_rule_is_true(
    text: str, auth: Any, doc: dict[str, Any], other: dict[str, Any]
) -> None:
    text = text.replace("newDoc.", "doc.").replace("unchanged('a')", "has(doc.a)")
    rule = checked(text.replace("changed('a.b', 'b')", "has(doc.b)"))
    if rule is None:
        return

    def lookups(collection: str, id: str) -> Any:
        return other if id == "a" else None

    env = Env(doc, doc, variables(auth), lookups)
    filter = to_filter(reduce(rule, Known(variables(auth))))
    assert matches(filter, doc, lookups) == satisfied(rule, env)


@given(rules, callers, documents, documents)
@settings(max_examples=300, deadline=None)
def test_what_is_possible_covers_what_is_true(
    text: str, auth: Any, doc: dict[str, Any], new_doc: dict[str, Any]
) -> None:
    """A write rule is never true of a document that its bound leaves out."""
    rule = checked(text)
    if rule is None:
        return

    def lookups(collection: str, id: str) -> Any:
        return {"a": id} if id == "a" else None

    rest = reduce(rule, Known(variables(auth)))
    if satisfied(rest, Env(doc, new_doc, None, lookups)):
        assert satisfied(possible(rest), Env(doc, None, None, lookups))
