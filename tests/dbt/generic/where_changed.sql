{# A column of a key: of all rows, or, where those were tested before, of the rows that changed.
   What is counted by changes would not cost less if it were tested in full.

   Of all rows it is their hashes that are counted first, which takes a fraction of the memory. Only
   where one is there twice are the values looked at, since two values may share a hash. #}
{% test unique_where_changed(model, column_name, changes) %}

{%- if lead_ledger_plan().tests == 'changes' %}

select
    {{ column_name }},
    sum(leads) as times
from {{ changes }}
where {{ column_name }} is not null
group by {{ column_name }}
having times > 1

{%- else %}

{%- set twice %}
select cast(hash({{ column_name }}) as varchar) as hashed
from {{ model }}
where {{ column_name }} is not null
group by hash({{ column_name }})
having count(*) > 1
limit 1000
{%- endset %}

{%- set suspects = [] %}
{%- if execute and flags.WHICH in ['build', 'test'] %}
    {%- do suspects.extend(run_query(twice).columns[0].values()) %}
{%- endif %}

select
    {{ column_name }},
    count(*) as times
{%- if suspects %}
from {{ model }}
where hash({{ column_name }}) in ({{ suspects | join(', ') }})
{%- else %}
from (select null as {{ column_name }} where false) as nothing
{%- endif %}
group by {{ column_name }}
having times > 1

{%- endif %}

{% endtest %}


{% test not_null_where_changed(model, column_name, changes) %}

{%- set everything = lead_ledger_plan().tests == 'everything' %}

select {{ column_name }}
from {{ model if everything else changes }}
where {{ column_name }} is null
{%- if not everything %}
group by {{ column_name }}
-- A row that came and went again is in the changes twice.
having sum(leads) > 0
{%- endif %}

{% endtest %}
