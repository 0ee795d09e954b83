{# A column that says what is wrong with a row is null. Rows with a fault are left out of the marts,
   which is a warning that counts them; the others are published. #}
{% test no_faults(model, column_name) %}

{{ config(severity='warn') }}

{%- set faults %}
select
    {{ column_name }},
    count(*) as times
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
order by {{ column_name }}
{%- endset %}

{%- set found = [] %}
{%- if execute and flags.WHICH in ['build', 'test'] %}
    {%- do found.extend(run_query(faults).rows) %}
{%- endif %}

{%- if found %}
    {%- set clauses = [] %}
    {%- for fault, times in found %}
        {%- do clauses.append(times ~ ' because ' ~ fault) %}
    {%- endfor %}
    {%- do exceptions.warn(
        'Of the rows of the lake that ' ~ model.identifier ~ ' reads, the marts leave out: '
        ~ clauses | join(', ') ~ '. Have their writer mend them.'
    ) %}
{%- endif %}

{%- if execute and flags.WHICH in ['build', 'test'] %}
select unnest({{ found | map(attribute=0) | list }}) as {{ column_name }}
{%- else %}
{{ faults }}
{%- endif %}

{% endtest %}
