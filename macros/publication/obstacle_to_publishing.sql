{#- A sentence that says why this dbt command publishes nothing, or none.

    Only one state of the lake may be in a publication, and all that was asked of it must hold. So
    a run publishes when nothing narrowed it, every model was built in it (each mart and all that
    is between the mart and the lake), and nothing failed or was skipped.

    What was skipped is only counted: what failed says why. -#}
{%- macro obstacle_to_publishing() -%}
    {%- set names = {'generate': 'docs generate', 'freshness': 'source freshness'} -%}
    {%- set command = 'dbt ' ~ names.get(flags.WHICH, flags.WHICH) -%}
    {%- set words = flags.INVOCATION_COMMAND.split() -%}
    {%- set narrowed = narrowing_options() -%}
    {%- set failed = [] -%}
    {%- set skipped = [] -%}
    {%- set built = [] -%}
    {%- for result in results -%}
        {%- if result.status in ['success', 'pass', 'warn', 'no-op'] -%}
            {%- do built.append(result.node.unique_id) -%}
        {%- elif result.status == 'skipped' -%}
            {%- do skipped.append(result.node.unique_id) -%}
        {%- else -%}
            {%- do failed.append(
                result.node.resource_type ~ ' ' ~ result.node.name ~ ' (' ~ result.status ~ ')'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set missing = [] -%}
    {%- for node in graph.nodes.values() -%}
        {%- if node.resource_type == 'model' and node.config.enabled
                and node.config.materialized != 'ephemeral' and node.unique_id not in built -%}
            {%- do missing.append(node.name) -%}
        {%- endif -%}
    {%- endfor -%}

    {%- if flags.WHICH not in ['run', 'build'] -%}
        {%- do return('`' ~ command ~ '` does not publish; a whole `dbt run` or `dbt build` does.') -%}
    {%- elif 'retry' in words and flags.WHICH not in words -%}
        {%- do return('`dbt retry` does not publish; a whole `dbt run` or `dbt build` does.') -%}
    {%- elif narrowed -%}
        {%- do return(
            'a run with ' ~ narrowed | join(', ')
            ~ ' does not publish; a whole `dbt run` or `dbt build` does.'
        ) -%}
    {%- elif failed or skipped -%}
        {%- set named = (failed | sort)[:5] + (['…'] if failed | length > 5 else []) -%}
        {%- do named.append(skipped | length ~ ' skipped') if skipped -%}
        {%- do return(
            (failed + skipped) | length ~ ' of ' ~ results | length ~ ' nodes did not succeed: '
            ~ named | join(', ') ~ '.' ~ texts_cut_in_yaml()
        ) -%}
    {%- elif missing -%}
        {%- do return(
            'the run left out ' ~ (missing | sort)[:5] | join(', ')
            ~ (', …' if missing | length > 5 else '')
            ~ '; a whole `dbt run` or `dbt build` publishes.'
        ) -%}
    {%- endif -%}
    {%- do return(none) -%}
{%- endmacro -%}


{#- The options of this command that leave out nodes or rows. -#}
{%- macro narrowing_options() -%}
    {%- set found = [] -%}
    {%- for option in [
        'select', 'exclude', 'selector', 'models', 'resource_types', 'exclude_resource_types',
        'empty', 'sample'
    ] -%}
        {%- if invocation_args_dict.get(option) -%}
            {%- do found.append('--' ~ option.replace('_', '-').removesuffix('s')) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(found) -%}
{%- endmacro -%}


{#- What failed may be a text of inline YAML that ends at its comma: `data_type: decimal(5,2)` is
    the type `decimal(5` and a key `2)`. A sentence for the first one, or nothing. -#}
{%- macro texts_cut_in_yaml() -%}
    {%- for node in graph.nodes.values() | sort(attribute='unique_id')
            if node.resource_type == 'model' -%}
        {%- for column in node.columns.values() -%}
            {%- for key in keys_without_value(column) -%}
                {%- do return(
                    ' In the YAML of ' ~ node.name ~ ', the key "' ~ key ~ '" of column "'
                    ~ column.name ~ '" has no value: inline YAML ends a text at its comma; put '
                    ~ 'quotes around the text, such as data_type: "decimal(5,2)".'
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do return('') -%}
{%- endmacro -%}


{#- The keys of a column in YAML that dbt does not know, and that have no value. -#}
{%- macro keys_without_value(column) -%}
    {%- set found = [] -%}
    {%- for key, value in column.items() -%}
        {%- if value is none and key not in [
            'name', 'description', 'meta', 'data_type', 'constraints', 'quote', 'config', 'tags',
            'granularity', 'doc_blocks', 'dimension', 'entity', 'data_tests', 'tests'
        ] -%}
            {%- do found.append(key) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(found) -%}
{%- endmacro -%}
