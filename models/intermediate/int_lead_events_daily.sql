with leads as (

    select * from {{ ref('stg_leads') }}

),

delta_versions as (

    select * from {{ source('lake', 'delta_versions') }}

),

-- Each event column counted by day, all in one scan: a few thousand rows for everything after it.
counted as (

    select
        case
            {%- for event_type in lead_event_types() %}
            when grouping({{ event_type }}) = 0 then '{{ event_type }}'
            {%- endfor %}
        end as event_type,
        coalesce({{ lead_event_types() | join(', ') }}) as event_date,
        count(*) as leads
    from leads
    -- sqlfluff's duckdb dialect does not know GROUPING SETS yet.
    group by grouping sets (({{ lead_event_types() | join('), (') }})) -- noqa: PRS

),

bounds as (

    select
        cast('{{ var("plausible_from") }}' as date) as first_day,
        cast(
            (committed_at at time zone 'UTC')
            + interval '{{ var("plausible_years_ahead") }} years' as date
        ) as last_day
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
where counted.event_date is not null
