{% macro week_start(day) -%}
    cast(date_trunc('week', {{ day }}) as date)
{%- endmacro %}


{% macro semaine(day) -%}
    strftime({{ day }}, '%G-W%V')
{%- endmacro %}


{% macro month_start(day) -%}
    cast(date_trunc('month', {{ day }}) as date)
{%- endmacro %}


{% macro mois(day) -%}
    strftime({{ day }}, '%Y-%m')
{%- endmacro %}


{% macro iso_year(day) -%}
    cast(isoyear({{ day }}) as integer)
{%- endmacro %}


{% macro iso_week(day) -%}
    cast(weekofyear({{ day }}) as integer)
{%- endmacro %}
