{% macro exact_sum(measure) -%}
    coalesce(cast(sum(cast({{ measure }} as decimal(38, 18))) as double), 0)
{%- endmacro %}
