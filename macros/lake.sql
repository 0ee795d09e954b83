{% macro require_lake() %}
    {#- The other commands (compile, docs generate, source freshness, ...) work without a lake. -#}
    {%- if execute and flags.WHICH in ('run', 'build', 'test') -%} select lake_require() {%- endif -%}
{% endmacro %}
