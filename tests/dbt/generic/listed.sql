{# The values of a column are listed in a seed. An unlisted one is a warning that names it: its rows
   are good, and only a person can say what it is called. #}
{% test listed(model, column_name, to, field) %}

{{ config(severity='warn') }}

{%- set unlisted %}
select distinct {{ column_name }}
from {{ model }}
where
    {{ column_name }} is not null
    and {{ column_name }} not in (select {{ field }} from {{ to }})
order by 1
{%- endset %}

{%- if execute and flags.WHICH in ['build', 'test'] %}
    {%- set values = run_query(unlisted).columns[0].values() %}
    {%- if values %}
        {%- do exceptions.warn(
            model.identifier ~ '.' ~ column_name ~ ' has values that seeds/' ~ to.identifier
            ~ '.csv does not list: ' ~ values | join(', ')
            ~ '. Their rows are counted; add what people call them.'
        ) %}
    {%- endif %}
{%- endif %}

{{ unlisted }}

{% endtest %}
