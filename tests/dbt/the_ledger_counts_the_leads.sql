-- The ledger is as the last build left it, and sums to what the leads are counted to in full.
{%- set plan = lead_ledger_plan() %}
{%- set ledger, delta_changes = ref('int_lead_event_ledger'), source('lake', 'delta_changes') %}
{%- set leads, lead_changes = ref('stg_leads'), ref('stg_lead_changes') %}
{#- The ledger of an older version has no checksum until the next build. -#}
{%- set columns = adapter.get_columns_in_relation(ledger) if execute else [] %}
{%- set last_checksum = 'last_entry.checksum' if 'checksum' in columns | map(attribute='name')
    else 'all_rows.checksum_now' %}
{#- A build that counts changes would cost more by this than by all else. -#}
{%- set in_full = flags.WHICH == 'test' or plan.tests == 'everything' %}

with last_entry as (

    select * from {{ ledger }}
    order by entry desc
    limit 1

),

{%- if in_full and plan.mode != 'aside' %}

-- The ledger may have seen an earlier version, before the changes.
comparable as (

    select last_entry.to_version < delta_changes.version as is_earlier
    from last_entry
    inner join {{ delta_changes }} as delta_changes
        on
            last_entry.table_id = delta_changes.table_id
            and last_entry.code = '{{ plan.code }}'
            and (
                last_entry.to_version = delta_changes.version
                and last_entry.to_commit is not distinct from delta_changes.commit_digest
                or delta_changes.mode = 'changes'
                and last_entry.to_version = delta_changes.seen_version
            )
    where delta_changes.name = 'leads'

),

full_count as (

    {{ count_lead_events(leads) }}

),

changed as (

    {{ count_lead_events(lead_changes, 'sum(leads)') }}

),

differences as (

    select
        event_type,
        event_date,
        leads
    from {{ ledger }}
    where event_type is not null

    union all

    select
        changed.event_type,
        changed.event_date,
        changed.leads
    from changed
    inner join comparable on comparable.is_earlier

    union all

    select
        event_type,
        event_date,
        -leads as leads
    from full_count

),

{%- endif %}

all_rows as (

    select {{ lead_ledger_checksum() }} as checksum_now
    from {{ ledger }}

)

select
    'the ledger is not as the last build left it' as difference,
    null as event_date,
    null as leads
from all_rows
cross join last_entry
where all_rows.checksum_now is distinct from {{ last_checksum }}
{%- if in_full and plan.mode != 'aside' %}

union all

select
    event_type as difference,
    event_date,
    sum(leads) as leads
from differences
where exists (select 1 from comparable)
group by all
having sum(leads) != 0
{%- endif %}
