with leads as (

    select * from {{ source('lake', 'leads') }}

)

select
    cast(id as varchar) as lead_id,
    -- A timestamp's day is that of the session's time zone, which the profile sets.
    {%- for event_type in lead_event_types() %}
    cast({{ event_type }} as date) as {{ event_type }}{{ ',' if not loop.last }}
    {%- endfor %}
from leads
where deleted is not true
