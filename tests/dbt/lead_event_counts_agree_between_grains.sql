-- Each event's total is the same by day, by week and by month.
with totals as (

    {% for grain in ['daily', 'weekly', 'monthly'] -%}
    select
        '{{ grain }}' as grain,
        {{- sum_lead_events() }}
    from {{ ref('lead_event_counts_' ~ grain) }}
    {{- '\n\n    union all\n' if not loop.last }}
    {% endfor %}
)

select distinct
    {{ lead_event_types() | join(',\n    ') }}
from totals
qualify count(*) over () != count(*) over (partition by {{ lead_event_types() | join(', ') }})
