"""Pages of grouped rows, put together, against all of them as SQL orders them."""

import json

import duckdb
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

MART = "/api/v1/marts/numbers"

NUMBERS = """
    select n,
        case when n % 13 > 0 then (n * 37 % 101 - 50) / 8.0::double end as x,
        date '2024-02-26' + (n % 9)::integer as day
    from range(400) as numbers(n)
"""
"""Eighths, which every type of number has exactly, and days; each more than once."""

CASTS = {
    "x": {
        "smallint": "smallint",
        "int": "integer",
        "int4": "integer",
        "real": "float",
        "numeric": "decimal(38, 18)",
        "text": "varchar",
    },
    "day": {"text": "varchar", "varchar": "varchar"},
}
"""For each column: PostgreSQL's names of types that it is cast to, and DuckDB's."""

TERMS = st.lists(
    st.one_of(
        *(
            st.tuples(st.just(column), st.sampled_from([None, *casts]))
            for column, casts in CASTS.items()
        )
    ),
    min_size=1,
    max_size=4,
)
ORDERS = st.lists(
    st.tuples(
        st.sampled_from(list(CASTS)),
        st.sampled_from(["", ".asc", ".desc"]),
        st.sampled_from(["", ".nullsfirst", ".nullslast"]),
    ),
    max_size=2,
)


@pytest.fixture(scope="module")
def numbers(run_server_in, make_publication, tmp_path_factory):
    """A client of a server that has the numbers as a mart."""
    folder = tmp_path_factory.mktemp("numbers")
    make_publication(folder / "publications", [], scope="open", more={"numbers": NUMBERS})
    with run_server_in(folder) as server, server.client() as client:
        yield client


def sorted_by(terms, column):
    """Which of the groups an order by a column is by, or why it is by none."""
    groups = {(of, CASTS[of].get(to)): place for place, (of, to) in enumerate(terms)}
    if (column, None) in groups:
        return groups[column, None]
    casts = [place for (of, _), place in groups.items() if of == column]
    if len(casts) == 1:
        return casts[0]
    return "several casts of" if casts else "select the column too"


def in_sql(terms, orders):
    """All rows, as DuckDB orders what was grouped before."""
    groups = ", ".join(
        f"cast({column} as {CASTS[column][to]}) as t{n}" if to else f"{column} as t{n}"
        for n, (column, to) in enumerate(terms)
    )
    by = []
    for column, way, nulls in orders:
        down = way == ".desc"
        first = nulls == ".nullsfirst" or (down and not nulls)
        place = sorted_by(terms, column)
        by.append(f"t{place} {'desc' if down else 'asc'} nulls {'first' if first else 'last'}")
    by += [f"t{n} nulls last" for n in range(len(terms))]
    rows = f"select {groups}, count(*) as n from ({NUMBERS}) group by all"
    query = f"select to_json(r)::varchar from ({rows}) as r order by {', '.join(by)}"
    return [text for (text,) in duckdb.execute(query).fetchall()]


def asked(terms, orders):
    select = [f"t{n}:{column}{f'::{to}' * bool(to)}" for n, (column, to) in enumerate(terms)]
    order = [f"{column}{way}{nulls}" for column, way, nulls in orders]
    given = {"select": ",".join([*select, "n:count()"])}
    return given | ({"order": ",".join(order)} if order else {})


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(terms=TERMS, orders=ORDERS, size=st.integers(20, 90))
@example(terms=[("x", None), ("x", "smallint")], orders=[], size=50)
@example(terms=[("x", None), ("x", "int")], orders=[("x", ".asc", "")], size=50)
@example(terms=[("x", "int"), ("x", "text"), ("x", None)], orders=[("x", ".desc", "")], size=50)
@example(terms=[("x", "int"), ("x", "int4"), ("day", None)], orders=[("x", "", "")], size=50)
@example(terms=[("x", "int"), ("x", "text")], orders=[], size=50)
def test_pages_of_groups_are_all_of_them_in_order(numbers, terms, orders, size):
    refusals = [one for column, *_ in orders if isinstance(one := sorted_by(terms, column), str)]
    assume(not refusals)
    expected = list(map(json.loads, in_sql(terms, orders)))
    found = []
    for offset in range(0, len(expected) + 1, size):
        page = numbers.get(MART, params=asked(terms, orders) | {"limit": size, "offset": offset})
        assert page.status_code == 200, page.text
        found += page.json()
    assert found == expected


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ([("day", None)], "PGRST100"),
        ([("x", "int"), ("x", "text")], "42803"),
        ([("x", "int"), ("day", None), ("x", "real")], "42803"),
    ],
)
def test_an_order_that_is_by_no_group_is_refused(numbers, terms, code):
    refused = numbers.get(MART, params=asked(terms, [("x", ".desc", "")]))
    assert refused.status_code == 400
    problem = refused.json()
    assert problem["code"] == code
    assert sorted_by(terms, "x") in problem["detail"]
    assert problem["detail"].startswith("order=x is not possible beside aggregates")
