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
            {{ dbt.string_literal(count_lead_events('leads') | replace("'", "''")) }}
            || current_setting('TimeZone')
            || (
                select string_agg(sql order by sql) from duckdb_views()
                where view_name in ('stg_leads', 'stg_lead_changes')
            )
        ) as code
    from temp.main.delta_changes as changes
    where changes.name = 'leads'
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
