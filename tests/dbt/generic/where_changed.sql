{# A column of a key: of all rows, or, where those were tested before, of the rows that changed.
   What is counted by changes would not cost less if it were tested in full. #}
{% test unique_where_changed(model, column_name, changes) %}

{%- set everything = lead_ledger_plan().tests == 'everything' %}

select
    {{ column_name }},
    {{ 'count(*)' if everything else 'sum(leads)' }} as times
from {{ model if everything else changes }}
where {{ column_name }} is not null
group by {{ column_name }}
having times > 1

{% endtest %}


{% test not_null_where_changed(model, column_name, changes) %}

{%- set everything = lead_ledger_plan().tests == 'everything' %}

select {{ column_name }}
from {{ model if everything else changes }}
where {{ column_name }} is null {{ '' if everything else 'and leads > 0' }}

{% endtest %}
