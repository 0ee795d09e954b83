{% macro lead_event_types() %}
    {{- return([
        'date_prise_contact',
        'date_reponse_prospect',
        'date_appel_booke',
        'date_appel_propose',
        'date_relance',
    ]) -}}
{% endmacro %}


{% macro staged_lead() -%}
    cast(id as varchar) as lead_id,
    {%- for event_type in lead_event_types() %}
    {{ staged_day(event_type) }} as {{ event_type }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro staged_day(moment) -%}
    -- A timestamp's day is that of the session's time zone, which the profile sets.
    case
        when cast({{ moment }} as date) > date '9999-12-31' then date '9999-12-31'
        when cast({{ moment }} as date) < date '0001-01-01' then date '0001-01-01'
        else cast({{ moment }} as date)
    end
{%- endmacro %}


{% macro lead_exists() -%}
    deleted is not true
{%- endmacro %}


{% macro count_lead_events(leads, count='count(*)') -%}
    select
        case
            {%- for event_type in lead_event_types() %}
            when grouping({{ event_type }}) = 0 then '{{ event_type }}'
            {%- endfor %}
        end as event_type,
        coalesce({{ lead_event_types() | join(', ') }}) as event_date,
        {{ count }} as leads
    from {{ leads }}
    -- sqlfluff's duckdb dialect does not know GROUPING SETS yet.
    group by grouping sets (({{ lead_event_types() | join('), (') }})) -- noqa: PRS
    having coalesce({{ lead_event_types() | join(', ') }}) is not null
{%- endmacro %}


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
