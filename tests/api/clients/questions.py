"""What both official clients are asked: calls on their query builders, and the same in SQL.

A call is a method's JavaScript name, its arguments and, last, perhaps its options. A function is
called on the client itself, and not on a mart.
"""

from __future__ import annotations

from typing import Any

Call = list[Any]

ALL = "from marketing_conversions"
BY = "order by product, campaign_type, campaign, channel, date"
WEEKS = "from lead_event_counts_weekly"
MONTHS = "from lead_event_counts_monthly"

CONVERSIONS = "marketing_conversions"
WEEKLY = "lead_event_counts_weekly"
MONTHLY = "lead_event_counts_monthly"

QUESTIONS: dict[str, tuple[str, list[Call], str]] = {
    "all": (CONVERSIONS, [["select", "*"]], f"{ALL} {BY}"),
    "all weeks": (WEEKLY, [["select"]], f"{WEEKS} order by week_start"),
    "all months": (MONTHLY, [["select", "*"]], f"{MONTHS} order by month_start"),
    "columns": (CONVERSIONS, [["select", "channel, date"]], f"select channel, date {ALL} {BY}"),
    "alias": (
        CONVERSIONS,
        [["select", "kanal:channel,wert:conversions"]],
        f"select channel as kanal, conversions as wert {ALL} {BY}",
    ),
    "cast": (
        CONVERSIONS,
        [["select", "day:date::text,whole:conversions::int"], ["lt", "conversions", 1e9]],
        f"select date::text as day, conversions::int as whole {ALL} {BY}",
    ),
    "eq": (CONVERSIONS, [["select"], ["eq", "channel", "tv"]], f"{ALL} where channel = 'tv' {BY}"),
    "eq, an apostrophe": (
        CONVERSIONS,
        [["select"], ["eq", "campaign_type", "it's branding"]],
        f"{ALL} where campaign_type = 'it''s branding' {BY}",
    ),
    "eq, an accent": (
        CONVERSIONS,
        [["select"], ["eq", "campaign", "été"]],
        f"{ALL} where campaign = 'été' {BY}",
    ),
    "eq, what means something in a URL": (
        CONVERSIONS,
        [["select"], ["eq", "campaign", "a&b=c"]],
        f"{ALL} where campaign = 'a&b=c' {BY}",
    ),
    "eq, nothing found": (
        CONVERSIONS,
        [["select"], ["eq", "channel", "x' or 1=1 --"]],
        f"{ALL} where false",
    ),
    "neq": (
        CONVERSIONS,
        [["select"], ["neq", "channel", "tv"]],
        f"{ALL} where channel <> 'tv' {BY}",
    ),
    "gt": (
        CONVERSIONS,
        [["select"], ["gt", "conversions", 100.5]],
        f"{ALL} where conversions > 100.5 {BY}",
    ),
    "gte": (
        CONVERSIONS,
        [["select"], ["gte", "date", "2020-03-01"]],
        f"{ALL} where date >= '2020-03-01' {BY}",
    ),
    "lt": (
        CONVERSIONS,
        [["select"], ["lt", "date", "2020-03-01"]],
        f"{ALL} where date < '2020-03-01' {BY}",
    ),
    "lte": (
        CONVERSIONS,
        [["select"], ["lte", "conversions", 0]],
        f"{ALL} where conversions <= 0 {BY}",
    ),
    "a period": (
        CONVERSIONS,
        [["select"], ["gte", "date", "2020-02-01"], ["lte", "date", "2020-02-29"]],
        f"{ALL} where date between '2020-02-01' and '2020-02-29' {BY}",
    ),
    "whole numbers": (
        WEEKLY,
        [["select", "semaine,date_relance"], ["gt", "date_prise_contact", 1]],
        f"select semaine, date_relance {WEEKS} where date_prise_contact > 1 order by week_start",
    ),
    "like": (
        CONVERSIONS,
        [["select"], ["like", "channel", "%o%"]],
        f"{ALL} where channel like '%o%' {BY}",
    ),
    "like, one character": (
        CONVERSIONS,
        [["select"], ["like", "channel", "t_"]],
        f"{ALL} where channel like 't_' {BY}",
    ),
    "ilike": (
        CONVERSIONS,
        [["select"], ["ilike", "channel", "T%"]],
        f"{ALL} where channel ilike 'T%' {BY}",
    ),
    "in": (
        CONVERSIONS,
        [["select"], ["in", "channel", ["tv", "radio"]]],
        f"{ALL} where channel in ('tv', 'radio') {BY}",
    ),
    "in, what has to be quoted": (
        CONVERSIONS,
        [["select"], ["in", "campaign", ["a,b", "été", "a&b=c", "(x)"]]],
        f"{ALL} where campaign in ('a,b', 'été', 'a&b=c', '(x)') {BY}",
    ),
    "is null": (CONVERSIONS, [["select"], ["is", "conversions", None]], f"{ALL} where false"),
    "not eq": (
        CONVERSIONS,
        [["select"], ["not", "channel", "eq", "tv"]],
        f"{ALL} where channel <> 'tv' {BY}",
    ),
    "not like": (
        CONVERSIONS,
        [["select"], ["not", "channel", "like", "%o%"]],
        f"{ALL} where channel not like '%o%' {BY}",
    ),
    "not null": (
        CONVERSIONS,
        [["select"], ["not", "conversions", "is", None]],
        f"{ALL} {BY}",
    ),
    "filter": (
        CONVERSIONS,
        [["select"], ["filter", "channel", "eq", "tv"]],
        f"{ALL} where channel = 'tv' {BY}",
    ),
    "filter, not in": (
        CONVERSIONS,
        [["select"], ["filter", "channel", "not.in", '("tv",radio)']],
        f"{ALL} where channel not in ('tv', 'radio') {BY}",
    ),
    "match": (
        CONVERSIONS,
        [["select"], ["match", {"channel": "tv", "product": "product a"}]],
        f"{ALL} where channel = 'tv' and product = 'product a' {BY}",
    ),
    "or": (
        CONVERSIONS,
        [["select"], ["or", "channel.eq.tv,conversions.gt.500"]],
        f"{ALL} where channel = 'tv' or conversions > 500 {BY}",
    ),
    "or, nested": (
        CONVERSIONS,
        [["select"], ["or", "channel.eq.radio,and(channel.eq.tv,date.lt.2020-03-01)"]],
        f"{ALL} where channel = 'radio' or (channel = 'tv' and date < '2020-03-01') {BY}",
    ),
    "or, negated inside": (
        CONVERSIONS,
        [["select"], ["or", "not.and(channel.neq.tv,channel.neq.radio),campaign.eq.été"]],
        f"{ALL} where channel in ('tv', 'radio') or campaign = 'été' {BY}",
    ),
    "or, quoted": (
        CONVERSIONS,
        [["select"], ["or", 'channel.in.("tv","out of home"),campaign.eq."a,b"']],
        f"{ALL} where channel in ('tv', 'out of home') or campaign = 'a,b' {BY}",
    ),
    "or and another filter": (
        CONVERSIONS,
        [
            ["select"],
            ["or", "channel.eq.tv,channel.eq.radio"],
            ["gt", "conversions", 1],
        ],
        f"{ALL} where channel in ('tv', 'radio') and conversions > 1 {BY}",
    ),
    "order": (
        CONVERSIONS,
        [["select"], ["order", "conversions", {}]],
        f"{ALL} order by conversions, product, campaign_type, campaign, channel, date",
    ),
    "order, downwards": (
        WEEKLY,
        [["select"], ["order", "week_start", {"desc": True}]],
        f"{WEEKS} order by week_start desc",
    ),
    "order, several": (
        CONVERSIONS,
        [["select"], ["order", "channel", {"desc": True}], ["order", "date", {}]],
        f"{ALL} m order by m.channel desc, m.date, m.product, m.campaign_type, m.campaign",
    ),
    "order, nulls first": (
        CONVERSIONS,
        [["select"], ["order", "date", {"desc": True, "nulls_first": True}]],
        f"{ALL} m order by m.date desc, m.product, m.campaign_type, m.campaign, m.channel",
    ),
    "order, nulls last": (
        CONVERSIONS,
        [["select"], ["order", "date", {"desc": False, "nulls_first": False}]],
        f"{ALL} m order by m.date, m.product, m.campaign_type, m.campaign, m.channel",
    ),
    "in, numbers": (
        WEEKLY,
        [["select"], ["in", "date_relance", [0, 1, 2]]],
        f"{WEEKS} where date_relance in (0, 1, 2) order by week_start",
    ),
    "or, with blanks": (
        CONVERSIONS,
        [["select"], ["or", "channel.eq.tv, and ( channel.eq.radio, conversions.gt. 500 )"]],
        f"{ALL} where channel = 'tv' or channel = 'radio' and conversions > 500 {BY}",
    ),
    "limit": (CONVERSIONS, [["select"], ["limit", 7]], f"{ALL} {BY} limit 7"),
    "limit 0": (CONVERSIONS, [["select"], ["limit", 0]], f"{ALL} limit 0"),
    "range": (CONVERSIONS, [["select"], ["range", 5, 11]], f"{ALL} {BY} limit 7 offset 5"),
    "range, past the end": (
        CONVERSIONS,
        [["select"], ["range", 1000000, 1000001]],
        f"{ALL} where false",
    ),
    "all at once": (
        CONVERSIONS,
        [
            ["select", "day:date,channel,conversions"],
            ["in", "channel", ["tv", "radio", "facebook"]],
            ["gte", "date", "2020-01-15"],
            ["order", "conversions", {"desc": True}],
            ["range", 2, 9],
        ],
        (
            f"select date as day, channel, conversions {ALL} where channel in ('tv', 'radio', "
            "'facebook') and date >= '2020-01-15' order by conversions desc, product, "
            "campaign_type, campaign, channel, date limit 8 offset 2"
        ),
    ),
    "count": (CONVERSIONS, [["select", "count()"]], f"select count(*) as count {ALL}"),
    "sum by channel": (
        CONVERSIONS,
        [["select", "channel,conversions.sum()"]],
        (
            "select channel, cast(sum(conversions::varchar::decimal(38, 18)) as double) as sum "
            f"{ALL} group by channel order by channel"
        ),
    ),
    "several aggregates": (
        CONVERSIONS,
        [
            ["select", "product,n:count(),least:conversions.min(),last:date.max()"],
            ["order", "product", {"desc": True}],
        ],
        (
            "select product, count(*) as n, min(conversions) as least, max(date) as last "
            f"{ALL} group by product order by product desc"
        ),
    ),
    "average": (
        CONVERSIONS,
        [["select", "conversions.avg()"], ["eq", "channel", "tv"]],
        (
            # Divided as whole numbers of 1e-18, and rounded to a double once, at the end.
            "select cast((n // 1_000_000_000_000_000_000)::varchar || '.' "
            "|| lpad((n % 1_000_000_000_000_000_000)::varchar, 18, '0') as double) as avg from ("
            "select replace(sum(conversions::varchar::decimal(38, 18))::varchar, '.', '')::hugeint "
            f"// count(*) as n {ALL} where channel = 'tv')"
        ),
    ),
    "single": (WEEKLY, [["select"], ["limit", 1], ["single"]], f"{WEEKS} order by 1 limit 1"),
    "single by its grain": (
        MONTHLY,
        [["select"], ["eq", "mois", "2021-01"], ["single"]],
        f"{MONTHS} where mois = '2021-01'",
    ),
    "maybe single": (
        MONTHLY,
        [["select"], ["eq", "mois", "2021-01"], ["maybeSingle"]],
        f"{MONTHS} where mois = '2021-01'",
    ),
    "maybe single, none": (
        MONTHLY,
        [["select"], ["eq", "mois", "1900-01"], ["maybeSingle"]],
        f"{MONTHS} where false",
    ),
}

COUNTED: dict[str, tuple[str, list[Call], str]] = {
    "counted": (
        CONVERSIONS,
        [["select", "*", {"count": "exact"}], ["eq", "channel", "tv"], ["limit", 2]],
        f"select count(*) as n {ALL} where channel = 'tv'",
    ),
    "only counted": (
        CONVERSIONS,
        [["select", "*", {"count": "exact", "head": True}]],
        f"select count(*) as n {ALL}",
    ),
}
"""What is asked for with a count, and SQL of the count."""

READ_ONLY = {"code": "PGRST117"}

REFUSED: dict[str, tuple[str, list[Call], dict[str, Any]]] = {
    "an unknown column": (
        CONVERSIONS,
        [["select", "nothing"]],
        {"code": "42703", "message": "There is no column nothing in marketing_conversions; "},
    ),
    "another type": (
        CONVERSIONS,
        [["select"], ["eq", "date", "tomorrow"]],
        {
            "code": "22P02",
            "message": "date is DATE, and 'tomorrow' is none; write a date as 2026-01-31.",
        },
    ),
    "an operator that is not supported": (
        CONVERSIONS,
        [["select"], ["filter", "channel", "fts", "tv"]],
        {"code": "PGRST127", "message": "The operator fts is not supported here; there "},
    ),
    "an unknown mart": (
        "nothing",
        [["select"]],
        {"code": "PGRST205", "message": "There is no mart nothing in publication "},
    ),
    "single of many": (
        CONVERSIONS,
        [["select"], ["single"]],
        {"code": "PGRST116", "details": "The result contains "},
    ),
    "a range behind the end, counted": (
        CONVERSIONS,
        [["select", "*", {"count": "exact"}], ["range", 1000000, 1000001]],
        {"code": "PGRST103", "details": "An offset of 1000000 was requested, but there are only "},
    ),
    "a negative limit": (
        CONVERSIONS,
        [["select"], ["limit", -1]],
        {"code": "PGRST103", "details": "Limit should be greater than or equal to zero."},
    ),
    "insert": (WEEKLY, [["insert", {"semaine": "x"}]], READ_ONLY | {"message": "POST is not "}),
    "insert, and select": (
        WEEKLY,
        [["insert", [{"semaine": "x"}]], ["select"]],
        READ_ONLY | {"message": "POST is not "},
    ),
    "upsert": (WEEKLY, [["upsert", {"semaine": "x"}]], READ_ONLY | {"message": "POST is not "}),
    "update": (
        WEEKLY,
        [["update", {"semaine": "x"}], ["eq", "semaine", "y"]],
        READ_ONLY | {"message": "PATCH is not supported: marts are only read"},
    ),
    "delete": (
        WEEKLY,
        [["delete"], ["eq", "semaine", "y"]],
        READ_ONLY | {"message": "DELETE is not supported: marts are only read"},
    ),
    "a function": (
        "",
        [["rpc", "foo", {"a": 1}]],
        {"code": "PGRST202", "message": "There are no functions to call (rpc); marts are only "},
    ),
    "explain": (
        WEEKLY,
        [["select"], ["explain"]],
        {
            "code": "PGRST107",
            "message": "Accept: application/vnd.pgrst.plan+text;",
        },
    ),
    "another mart inside": (
        WEEKLY,
        [["select", "semaine,lead_event_counts_monthly(mois)"]],
        {"code": "PGRST127", "message": "select=lead_event_counts_monthly(mois) embeds another "},
    ),
    "another mart inside, ordered": (
        WEEKLY,
        [["select"], ["order", "mois", {"of": "other"}]],
        {"code": "PGRST127", "message": "The parameter other.order is about an embedded mart"},
    ),
    "another mart inside, limited": (
        WEEKLY,
        [["select"], ["limit", 1, {"of": "other"}]],
        {"code": "PGRST127", "message": "The parameter other.limit is about an embedded mart"},
    ),
    "another mart inside, filtered": (
        WEEKLY,
        [["select"], ["eq", "other.mois", "x"]],
        {"code": "PGRST127", "message": "The parameter other.mois is about an embedded mart"},
    ),
    "another mart inside, filtered by either": (
        WEEKLY,
        [["select"], ["or", "mois.eq.x,mois.eq.y", {"of": "other"}]],
        {"code": "PGRST127", "message": "The parameter other.or is about an embedded mart"},
    ),
    "a path into JSON": (
        WEEKLY,
        [["select", "semaine->a"]],
        {"code": "PGRST127", "message": "select=semaine-%3Ea reaches into JSON"},
    ),
    "arrays": (
        WEEKLY,
        [["select"], ["contains", "semaine", ["a"]]],
        {"code": "PGRST127", "message": "The operator cs is not supported here; there "},
    ),
    "single of none": (
        CONVERSIONS,
        [["select"], ["eq", "channel", "nothing"], ["single"]],
        {"code": "PGRST116", "details": "The result contains 0 rows"},
    ),
}
"""What is refused, and how the members of the error begin."""
