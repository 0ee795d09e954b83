{# The columns of `config.meta.grain` name a row: together unique, none of them null.

   Their hashes are counted first, which takes a fraction of the memory; the values only where a
   hash is there twice, since two values may share a hash. #}
{% test grain(model) %}

{%- set node = graph.get('nodes', {}).values() | selectattr('resource_type', 'equalto', 'model')
    | selectattr('name', 'equalto', model.identifier) | first %}
{%- set grain = (node.config.meta.grain if execute else ['null']) | join(', ') %}

with repeated as (

    select hash({{ grain }}) as key_hash
    from {{ model }}
    group by key_hash
    having count(*) > 1

)

select
    {{ grain }},
    count(*) as times
from {{ model }}
where hash({{ grain }}) in (select key_hash from repeated)
group by {{ grain }}
having count(*) > 1

union all

select
    {{ grain }},
    count(*) as times
from {{ model }}
where {{ grain | replace(', ', ' is null or ') }} is null
group by {{ grain }}

{% endtest %}
