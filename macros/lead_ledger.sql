{#- What this run does with the ledger of lead events.

    The plugin says what became of the table since the last entry. dbt knows the rest: whether the
    code is another, and whether the run sees all rows at all. Returned is a dict: `mode` (as in
    delta_changes), the `reason` for it, `code` (a fingerprint), whether the ledger `adds` an entry,
    whether the leads of that entry were `tested`, and which leads `tests` look at. -#}
{%- macro lead_ledger_plan() -%}
    {%- set plan = {
        'mode': 'full', 'reason': '', 'code': '', 'adds': true, 'tested': false,
        'tests': 'everything',
    } -%}
    {%- if not execute or flags.WHICH not in ['run', 'build', 'test'] -%}
        {%- do return(plan) -%}
    {%- endif -%}
    {%- set found = run_query(lead_ledger_facts()).rows -%}
    {%- if not found or flags.EMPTY or invocation_args_dict.get('sample') -%}
        {#- There are no leads, or dbt hides them from this run. -#}
        {%- do plan.update({'mode': 'aside', 'adds': false}) -%}
        {%- do return(plan) -%}
    {%- endif -%}
    {%- set facts = found[0] -%}
    {#- A retry leaves out the tests that passed, maybe on an older version. -#}
    {%- set words = flags.INVOCATION_COMMAND.split() -%}
    {%- set retry = 'retry' in words and flags.WHICH not in words -%}
    {%- do plan.update({
        'mode': facts['mode'],
        'reason': facts['reason'],
        'version': facts['version'],
        'seen_version': facts['seen_version'],
        'code': facts['code'],
        'tested': flags.WHICH == 'build' and not narrowing_options() and not retry,
    }) -%}
    {%- if flags.FULL_REFRESH -%}
        {%- do plan.update({'mode': 'full', 'reason': '--full-refresh was asked for'}) -%}
    {%- elif plan.mode in ['changes', 'seen'] and plan.code != facts['seen_code'] -%}
        {%- do plan.update({'mode': 'full', 'reason': 'the code that counts them has changed'}) -%}
    {%- endif -%}
    {%- set owes_tests = plan.tested and not facts['seen_tested'] -%}
    {%- do plan.update({
        'adds': plan.mode in ['full', 'changes'] or (plan.mode == 'seen' and owes_tests),
    }) -%}
    {%- if flags.WHICH == 'build' and plan.mode in ['changes', 'seen'] and facts['seen_tested'] -%}
        {%- do plan.update({'tests': 'changes'}) -%}
    {%- endif -%}
    {%- do return(plan) -%}
{%- endmacro -%}


{#- One row where there are leads, none where nobody loaded any. -#}
{%- macro lead_ledger_facts() -%}
    select
        changes.*,
        md5(
            '{{ lead_ledger_code() }}'
            || current_setting('TimeZone')
            || version()
            || (
                select string_agg(sql order by sql) from duckdb_views()
                where view_name in ('stg_leads', 'stg_lead_changes')
            )
        ) as code
    from temp.main.delta_changes as changes
    where changes.name = 'leads'
{%- endmacro -%}


{#- A digest of all SQL that an entry may be made with, but for the staging views: the model's file
    as it is written, and what the macro that it calls writes. -#}
{%- macro lead_ledger_code() -%}
    {%- set model = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('name', 'equalto', 'int_lead_event_ledger') | first -%}
    {%- set texts = [model.raw_code] -%}
    {%- for mode, ledger in [('full', none), ('full', 'ledger'), ('changes', 'ledger')] -%}
        {%- do texts.append(lead_ledger_entry(
            {'mode': mode, 'adds': true, 'code': '', 'tested': true},
            'leads', 'lead_changes', 'delta_changes', ledger
        )) -%}
    {%- endfor -%}
    {%- do return(local_md5(texts | join)) -%}
{%- endmacro -%}


{%- macro lead_ledger_entry(plan, leads, lead_changes, delta_changes, ledger) -%}
{%- set in_full = plan.mode == 'full' or not ledger and plan.mode != 'aside' -%}

with changes as (

    select * from {{ delta_changes }}
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
    {%- if in_full and ledger %}

    union all

    select
        event_type,
        event_date,
        -leads
    from {{ ledger }}
    where event_type is not null
    {%- endif %}

),

summed as (

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

),

entry as (

    select
        changes.seen_entry + 1 as entry,
        cast(summed.event_type as varchar) as event_type,
        cast(summed.event_date as date) as event_date,
        cast(summed.leads as bigint) as leads,
        changes.table_id,
        cast({{ 'null' if in_full else 'changes.seen_version' }} as bigint) as from_version,
        changes.version as to_version,
        changes.commit_digest as to_commit
    from summed
    cross join changes

)

select
    *,
    '{{ plan.code }}' as code,
    {{ plan.tested }} as tested,
    {% if ledger -%}
    coalesce((select {{ lead_ledger_checksum() }} from {{ ledger }}), 0) +
    {%- endif %}
    (select {{ lead_ledger_checksum() }} from entry) as checksum
from entry
{%- if not plan.adds %}
where false
{%- endif %}
{%- endmacro -%}


{#- lake/changes.py has the same expression: the plugin compares it with the last entry's. -#}
{%- macro lead_ledger_checksum() -%}
    sum(cast(md5_number_lower(concat_ws('|', entry, event_type, event_date, leads)) as hugeint))
{%- endmacro -%}


{#- Say in one line what is counted, when the ledger's turn comes. -#}
{%- macro announce_lead_ledger(plan) -%}
    {%- if execute and flags.WHICH in ['run', 'build'] and plan.reason -%}
        {%- set sentences = {
            'full': 'The leads are counted in full: ' ~ plan.reason ~ '.',
            'changes': 'Of the leads, what changed from version ' ~ plan.seen_version ~ ' to '
                ~ plan.version ~ ' is counted.',
            'seen': 'The leads are counted already: ' ~ plan.reason ~ '.',
            'aside': 'The leads of version ' ~ plan.version ~ ' are counted in full, and for this '
                ~ 'run only: ' ~ plan.reason ~ '.',
        } -%}
        {%- do log(sentences[plan.mode], info=true) -%}
    {%- endif -%}
{%- endmacro -%}
