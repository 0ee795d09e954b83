{#- The statement that publishes this run, or none and one line that says why not.

    It is returned, not run here: when a statement that dbt runs as a hook fails, dbt prints its
    error in one piece and ends with exit code 1. -#}
{%- macro publish(sources=none) -%}
    {%- if execute -%}
        {%- set obstacle = obstacle_to_publishing() -%}
        {%- if obstacle -%}
            {%- do log('Published nothing: ' ~ obstacle, info=true) -%}
        {%- else -%}
            select publish_marts(
                {{ dbt.string_literal(dbt.escape_single_quotes(tojson(run_to_publish()))) }},
                {{ sources_to_publish(sources) }}
            )
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}


{%- macro sources_to_publish(sources) -%}
    {%- if sources is none -%}
        '[]'
    {%- else -%}
        (
            select coalesce(to_json(list({
                'name': name,
                'uri': uri,
                'table_id': table_id,
                'version': version,
                'committed_at': strftime(
                    committed_at at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ'
                )
            })), '[]')
            from {{ sources }}
        )
    {%- endif -%}
{%- endmacro -%}
