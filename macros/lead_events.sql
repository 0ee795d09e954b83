{% macro lead_event_types() %}
    {{- return([
        'date_prise_contact',
        'date_reponse_prospect',
        'date_appel_booke',
        'date_appel_propose',
        'date_relance',
    ]) -}}
{% endmacro %}


{% macro pivot_lead_events(measure) %}
    {%- for event_type in lead_event_types() %}
    cast(coalesce(sum({{ measure }}) filter (where event_type = '{{ event_type }}'), 0) as bigint)
        as {{ event_type }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro sum_lead_events() %}
    {%- for event_type in lead_event_types() %}
    cast(sum({{ event_type }}) as bigint) as {{ event_type }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
