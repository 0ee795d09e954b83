{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set plan = lead_ledger_plan() -%}
{%- do announce_lead_ledger(plan) -%}

{{ lead_ledger_entry(
    plan,
    leads=ref('stg_leads'),
    lead_changes=ref('stg_lead_changes'),
    delta_changes=source('lake', 'delta_changes'),
    ledger=this if is_incremental() else none,
) }}
