{%- set ledger, leads = ref('int_lead_event_ledger'), ref('stg_leads') -%}

with delta_versions as (

    select * from {{ source('lake', 'delta_versions') }}

),

counted as (

    {% if lead_ledger_plan().mode == 'aside' -%}
    {{ count_lead_events(leads) }}
    {%- else -%}
    select
        event_type,
        event_date,
        cast(sum(leads) as bigint) as leads
    from {{ ledger }}
    where event_type is not null
    group by all
    having sum(leads) != 0
    {%- endif %}

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

union all

-- Leads without a single event are a mistake that would be published as empty marts.
select
    error(
        'There are leads, but not one of them has any of the five events '
        || '({{ lead_event_types()[:2] | join(", ") }}, ...): look at how the columns of the '
        || 'lake are called, and load a file with at least one event date.'
    ) as event_type,
    null as event_date,
    null as leads,
    null as implausible
from bounds
where
    exists (select 1 from {{ leads }})
    and not exists (select 1 from counted)
