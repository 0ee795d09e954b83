with leads as (

    select * from {{ ref('stg_leads') }}

),

delta_versions as (

    select * from {{ source('lake', 'delta_versions') }}

),

-- Counting each event column by day first leaves a few thousand rows for everything after it.
counted as (

    {% for event_type in lead_event_types() -%}
    select
        '{{ event_type }}' as event_type,
        {{ event_type }} as event_date,
        count(*) as leads
    from leads
    where {{ event_type }} is not null
    group by {{ event_type }}
    {{- '\n\n    union all\n' if not loop.last }}
    {% endfor %}
),

bounds as (

    select
        cast('{{ var("plausible_from") }}' as date) as first_day,
        cast(committed_at + interval '{{ var("plausible_years_ahead") }} years' as date) as last_day
    from delta_versions
    where name = 'leads'

)

select
    counted.event_type,
    counted.event_date,
    counted.leads,
    case
        when counted.event_date < bounds.first_day then 'too early'
        when counted.event_date > bounds.last_day then 'too late'
    end as implausible
from counted
cross join bounds
