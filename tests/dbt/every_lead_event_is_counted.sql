-- Each event that was counted by day is either in the daily mart or in the implausible one.
with expected as (

    select
        event_type,
        sum(leads) as leads
    from {{ ref('int_lead_events_daily') }}
    group by event_type

),

counted as (

    {% for event_type in lead_event_types() -%}
    select
        '{{ event_type }}' as event_type,
        sum({{ event_type }}) as leads
    from {{ ref('lead_event_counts_daily') }}

    union all

    {% endfor -%}
    select
        event_type,
        leads
    from {{ ref('lead_event_counts_implausible') }}

)

select
    expected.event_type,
    expected.leads as expected,
    sum(counted.leads) as counted
from expected
left join counted on expected.event_type = counted.event_type
group by all
having expected != coalesce(counted, 0)
