{# The columns of `config.meta.grain` name a row: together unique, none of them null. #}
{% test grain(model) %}

{%- set node = graph.get('nodes', {}).values() | selectattr('resource_type', 'equalto', 'model')
    | selectattr('name', 'equalto', model.identifier) | first %}
{%- set grain = node.config.meta.grain if execute else ['null'] %}

select
    {{ grain | join(', ') }},
    count(*) as times
from {{ model }}
group by {{ grain | join(', ') }}
having
    count(*) > 1
    {%- for column in grain %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
