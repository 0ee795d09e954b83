{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set leads, lead_changes = ref('stg_leads'), ref('stg_lead_changes') -%}
{%- set plan = lead_ledger_plan() -%}
{%- set in_full = plan.mode == 'full' or not is_incremental() and plan.mode != 'aside' -%}
{%- do announce_lead_ledger(plan) -%}

with changes as (

    select * from {{ source('lake', 'delta_changes') }}
    where name = 'leads'

),

counted as (

    {% if in_full -%}
    {{ count_lead_events(leads) }}
    {%- else -%}
    {{ count_lead_events(lead_changes, 'sum(leads)') }}
    {%- endif %}

),

-- What was counted in full replaces what the ledger sums to: the entry is the difference.
differences as (

    select * from counted
    {%- if in_full and is_incremental() %}

    union all

    select
        event_type,
        event_date,
        -leads
    from {{ this }}
    where event_type is not null
    {%- endif %}

),

entry as (

    select
        event_type,
        event_date,
        sum(leads) as leads
    from differences
    group by all
    having sum(leads) != 0

    union all

    -- That these versions were seen, whether or not they changed a count.
    select
        null as event_type,
        null as event_date,
        0 as leads

)

select
    changes.seen_entry + 1 as entry,
    cast(entry.event_type as varchar) as event_type,
    cast(entry.event_date as date) as event_date,
    cast(entry.leads as bigint) as leads,
    changes.table_id,
    cast({{ 'null' if in_full else 'changes.seen_version' }} as bigint) as from_version,
    changes.version as to_version,
    changes.commit_digest as to_commit,
    '{{ plan.code }}' as code,
    {{ plan.tested }} as tested
from entry
cross join changes
{%- if not plan.adds %}
where false
{%- endif %}
