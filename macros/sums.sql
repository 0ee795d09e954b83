{% macro exact_sum(measure) -%}
    coalesce(cast(sum({{ as_written(measure) }}) as double), 0)
{%- endmacro %}


{% macro as_written(number) -%}
    case
            when cast(try_cast({{ number }} as decimal(15, 6)) as double) = {{ number }}
                then cast({{ number }} as decimal(15, 6))
            else cast(cast({{ number }} as varchar) as decimal(38, 18))
        end
{%- endmacro %}
