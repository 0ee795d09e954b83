with events as (

    select * from {{ ref('int_lead_events_daily') }}

)

select
    event_date as date,
    {{- pivot_lead_events('leads') }}
from events
where implausible is null
group by event_date
