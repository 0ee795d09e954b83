-- What staging has is either in the daily mart or in the implausible one.
with leads as (

    select
    {%- for event_type in lead_event_types() %}
        count({{ event_type }}) as {{ event_type }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('stg_leads') }}

),

plausible as (

    select {{- sum_lead_events() }}
    from {{ ref('lead_event_counts_daily') }}

),

implausible as (

    select {{- pivot_lead_events('leads') }}
    from {{ ref('lead_event_counts_implausible') }}

)

select leads.*
from leads
cross join plausible
cross join implausible
where
    {%- for event_type in lead_event_types() %}
    leads.{{ event_type }}
    != coalesce(plausible.{{ event_type }}, 0) + coalesce(implausible.{{ event_type }}, 0)
    {{- ' or' if not loop.last }}
    {%- endfor %}
