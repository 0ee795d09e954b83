{#- For `on-run-start`: what the selected nodes read, and the run does not make, is there.

    A seed that is not there is loaded, so that `dbt run` and `dbt test` need no `dbt seed` before
    them. Of a model that is not there one sentence says what to do, instead of a catalog error for
    each node that reads it. -#}
{%- macro prepare_run() -%}
    {%- if execute and flags.WHICH in ['run', 'build', 'test'] -%}
        {%- set missing = missing_relations() -%}
        {%- set models = missing | rejectattr('resource_type', 'equalto', 'seed')
            | map(attribute='name') | sort -%}
        {%- if models -%}
            {%- do exceptions.raise_compiler_error(
                'The warehouse does not have ' ~ models[:5] | join(', ')
                ~ (' and ' ~ (models | length - 5) ~ ' others' if models | length > 5 else '')
                ~ ' yet, which this command reads and does not build: run `dbt build` first'
                ~ ('.' if flags.WHICH == 'test' else ', or select what it reads too (`dbt '
                ~ flags.WHICH ~ ' -s +NAME`).')
            ) -%}
        {%- endif -%}
        {%- for seed in missing %}
            {{- load_seed(seed) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}


{%- macro missing_relations() -%}
    {%- set missing = {} -%}
    {%- for unique_id in selected_resources -%}
        {%- for parent_id in graph.nodes.get(unique_id, {}).get('depends_on', {}).get('nodes', []) -%}
            {%- set parent = graph.nodes.get(parent_id) -%}
            {%- if parent and parent_id not in selected_resources and parent_id not in missing
                    and parent.config.materialized != 'ephemeral'
                    and not adapter.get_relation(parent.database, parent.schema, parent.alias) -%}
                {%- do missing.update({parent_id: parent}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do return(missing.values() | list) -%}
{%- endmacro -%}


{%- macro load_seed(seed) -%}
    {%- do log('Loading the seed ' ~ seed.name ~ ', which the warehouse does not have yet.', true) -%}
    {%- set file = seed.root_path ~ '/' ~ seed.original_file_path -%}
    {%- set types = seed.config.column_types -%}
    create schema if not exists {{ adapter.quote(seed.schema) }};
    create table {{ seed.relation_name }} as
    select * from read_csv(
        '{{ file | replace("'", "''") }}',
        header = true,
        delim = '{{ seed.config.delimiter }}',
        types = {
            {%- for column, type in types.items() %}'{{ column }}': '{{ type }}'
            {{- ', ' if not loop.last }}{% endfor -%}
        }
    );
{% endmacro -%}
